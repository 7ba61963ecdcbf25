"""Link objects into a program, run it under limits, and compare the behaviour of two runs.

Everything runs confined (`confined.py`): no network, a work folder of its own, an empty
environment, bounded time, memory and output, and nothing left afterwards. `Ran.held` lists the
restrictions that this kernel allowed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from solvers.llvm.confined import Access, CannotConfine, Finished, Held, Limits, run
from solvers.llvm.flags import FlagRefused, checked_linker_flags
from solvers.llvm.frontend import SourceError, diagnostics, run_tool
from solvers.llvm.runners import Runner
from solvers.llvm.toolchain import BadTarget, compiler, linker
from solvers.llvm.types import Target

LINK_S = 180.0  # zig's first link builds its C library
ZIG_CACHE = "ZIG_GLOBAL_CACHE_DIR"  # names a folder that later links share
_MEMORY_BYTES = 4 * 2**30
_LINK_MEMORY_BYTES = 64 * 2**30  # of address space: zig maps its caches sparsely
_OUTPUT_BYTES = 8 * 2**20
_FILE_BYTES = 64 * 2**20
_ALL_FILES_BYTES, _MOST_FILES = 256 * 2**20, 1000
_SHOWN = 4000  # bytes of output for people to read
_RUN_FOLDER = "run"
_HERE = Runner(name="this processor")


@dataclass(frozen=True, kw_only=True)
class RunCase:
    """Arguments and input of one run, and the output expected where it is known."""

    arguments: tuple[str, ...] = ()
    stdin: bytes = b""
    expected_stdout: bytes | None = None
    expected_exit: int | None = None
    # In the work folder before the run.
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """Result of one run. Exactly one of `exit_code`, `signal` and `limit` is set."""

    exit_code: int | None
    signal: int | None  # number of the signal that ended it
    stdout: bytes  # the first 4,000 bytes
    stdout_sha256: str  # of all of it
    stdout_bytes: int
    stderr: bytes  # the first 4,000 bytes
    seconds: float  # wall clock, about 40 ms of start-up included
    cpu_s: float  # of the program and the children it waited for
    peak_bytes: int  # of resident memory
    # Left in its folder: name → sha256 ("" if not a regular file).
    files: Mapping[str, str]
    limit: str = ""  # "seconds", "output", "files", "stopped"
    held: Held = field(default_factory=Held)
    unexpected: str = ""  # difference from the expected result, or ""


def link_program(
    objects: Sequence[bytes | Path],
    *,
    workdir: Path,
    target: Target,
    flags: Sequence[str] = (),
    cxx: bool = False,
    timeout_s: float = LINK_S,
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Link objects, archives and IR (compiled without optimisation) into a program in `workdir`.

    `cxx`, or the flag -lstdc++, links the C++ library of the front-end. The system's linker serves
    x86-64, zig's the rest. Raises SourceError (undefined symbols, with the linker's own text),
    LlvmMissing, Stopped.
    """
    if not objects:
        raise SourceError("objects: expected at least one to link, got none", "")
    cxx = cxx or "-lstdc++" in flags
    try:
        own_flags = checked_linker_flags([flag for flag in flags if flag != "-lstdc++"])
        command = linker(target, cxx=cxx)
    except (FlagRefused, BadTarget) as error:
        raise SourceError(str(error), "") from error
    workdir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=workdir, prefix="program-")).resolve()
    paths = [
        _object(code, folder, i, target, timeout_s, stopped)
        for i, code in enumerate(objects)
    ]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TMPDIR": str(folder)}
    writable = [folder]
    if command.wants_cache:
        cache = _zig_cache(workdir)
        environment |= {ZIG_CACHE: str(cache), "ZIG_LOCAL_CACHE_DIR": str(folder / "zig")}
        writable.append(cache)
    driver = [
        word for word in command.words if word != "-pie" or "-static" not in own_flags
    ]
    done = _tool(
        [*driver, "-o", "program", *map(str, paths), *own_flags],
        cwd=folder,
        readable=[*command.folders, *paths],
        writable=writable,
        environment=environment,
        timeout_s=timeout_s,
        stopped=stopped,
    )
    program = folder / "program"
    if done.exit_code != 0 or not program.exists():
        raise SourceError(
            "the program does not link",
            diagnostics(done, command.folders, folder, folder),
        )
    shutil.rmtree(folder / "zig", ignore_errors=True)
    return program


def run_program(
    program: Path,
    case: RunCase,
    *,
    timeout_s: float,
    memory_bytes: int = _MEMORY_BYTES,
    workdir: Path,
    stopped: Callable[[], bool] = lambda: False,
    output_bytes: int = _OUTPUT_BYTES,
    runner: Runner = _HERE,
) -> Ran:
    """Run a program once, in a fresh folder below `workdir` that is removed afterwards.

    The program's own name is `program`. Its folder has the same path at each run, as long as runs
    of one `workdir` follow one another: programs that print it stay comparable.

    runner: the command that runs programs of the target. Raises ValueError for a case that cannot
    be run.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    folder = _fresh_folder(workdir)
    try:
        inside = folder / "files"
        inside.mkdir()
        _lay_out(case.files, inside)
        if any("\0" in word for word in case.arguments):
            raise ValueError("arguments: expected text without zero bytes")
        callee = folder / "program"
        try:
            os.link(program.resolve(), callee)
        except OSError:  # another file system
            shutil.copy2(program, callee)
        try:
            # By a path that says nothing of this machine: QEMU may tell it to the program.
            words, name = runner.command(Path("..") / callee.name, case.arguments)
            done = run(
                words,
                cwd=inside,
                name=name,
                limits=Limits(
                    wall_s=timeout_s,
                    memory_bytes=memory_bytes + runner.reserved_bytes,
                    output_bytes=output_bytes,
                    file_bytes=_FILE_BYTES,
                ),
                access=Access(readable=[callee], writable=[inside]),
                stdin=case.stdin,
                stopped=stopped,
                watch=lambda: "files" if _too_much(inside) else None,
            )
        except CannotConfine as error:
            raise ValueError(f"cannot run {program.name}: {error}") from error
        return _ran(done, case, _digests(inside) if not done.limit else {})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fresh_folder(workdir: Path) -> Path:
    folder = workdir.resolve() / _RUN_FOLDER
    try:
        folder.mkdir()
    except FileExistsError:  # another run at the same time
        return Path(tempfile.mkdtemp(dir=workdir, prefix=f"{_RUN_FOLDER}-")).resolve()
    return folder


def compare(reference: Ran, candidate: Ran) -> str | None:
    """Return the first difference of two runs, or None; a run ended by a limit differs."""
    for name, ran in (("the reference", reference), ("the candidate", candidate)):
        if ran.limit:
            return (
                f"{name} was ended by the limit on {ran.limit} after {ran.seconds:.1f} s"
            )
    if reference.signal != candidate.signal or reference.exit_code != candidate.exit_code:
        return f"the reference ended with {_end(reference)}, the candidate with {_end(candidate)}"
    if reference.stdout_sha256 != candidate.stdout_sha256:
        return _first_difference(reference, candidate)
    for name in sorted({*reference.files, *candidate.files}):
        if name not in candidate.files:
            return f"file {name!r} is made by the reference only"
        if name not in reference.files:
            return f"file {name!r} is made by the candidate only"
        if reference.files[name] != candidate.files[name]:
            return f"file {name!r} differs"
    return None


def _tool(
    words: Sequence[str],
    *,
    cwd: Path,
    readable: Sequence[Path],
    writable: Sequence[Path],
    environment: Mapping[str, str],
    timeout_s: float,
    stopped: Callable[[], bool],
) -> Finished:
    limits = Limits(
        wall_s=timeout_s,
        memory_bytes=_LINK_MEMORY_BYTES,
        cpu_s=4 * timeout_s,
        open_files=1024,
    )
    return run_tool(
        "the linker",
        words,
        cwd=cwd,
        limits=limits,
        readable=readable,
        writable=writable,
        environment=environment,
        stopped=stopped,
    )


def _object(
    code: bytes | Path,
    folder: Path,
    i: int,
    target: Target,
    timeout_s: float,
    stopped: Callable[[], bool],
) -> Path:
    """Return a file that the linker reads, compiled from IR where necessary."""
    if isinstance(code, bytes):
        head, path = code[:8], folder / f"{i}.o"
        path.write_bytes(code)
    else:
        path = code.resolve()
        with path.open("rb") as file:
            head = file.read(8)
    if head.startswith((b"\x7fELF", b"!<arch>\n")):
        return path
    is_bitcode = head.startswith((b"BC\xc0\xde", b"\xde\xc0\x17\x0b"))
    if not is_bitcode and path.suffix != ".ll":
        raise SourceError(
            f"object {i}: expected an ELF object, an archive or LLVM IR, got {head!r}…",
            "",
        )
    command = compiler(target, cxx=False, freestanding=True)
    copy = folder / f"{i}.{'bc' if is_bitcode else 'll'}"
    copy.write_bytes(path.read_bytes())
    # -O0: the code generator does not optimise. -x ir: no C headers are involved.
    done = _tool(
        [
            *command.words,
            *(("-fPIC",) if target.pic else ()),
            "-w",
            "-O0",
            "-x",
            "ir",
            "-c",
            copy.name,
            "-o",
            f"{i}.ir.o",
        ],
        cwd=folder,
        readable=command.folders,
        writable=[folder],
        environment={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)},
        timeout_s=timeout_s,
        stopped=stopped,
    )
    made = folder / f"{i}.ir.o"
    if done.exit_code != 0 or not made.exists():
        raise SourceError(
            f"the IR of object {i} does not compile",
            diagnostics(done, command.folders, folder, folder),
        )
    return made


def _zig_cache(workdir: Path) -> Path:
    """Return the folder that the environment names, if we may write it, else one in `workdir`."""
    named = os.environ.get(ZIG_CACHE, "")
    cache = Path(named) if named else workdir / "zig-cache"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        cache = workdir / "zig-cache"
    if not os.access(cache, os.W_OK):
        cache = workdir / "zig-cache"
    cache.mkdir(parents=True, exist_ok=True)
    return cache.resolve()


def _lay_out(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        pure = PurePosixPath(name)
        if not name or pure.is_absolute() or ".." in pure.parts or "\0" in name:
            raise ValueError(
                f"files: expected a relative path without '..', got {name!r}"
            )
        path = folder / pure
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _walk(folder: Path) -> list[tuple[str, os.stat_result]]:
    """Return all files below, links not followed; one more than allowed if there are too many."""
    files: list[tuple[str, os.stat_result]] = []
    for base, folders, names in os.walk(folder):
        for name in (
            *names,
            *(f for f in folders if os.path.islink(os.path.join(base, f))),
        ):
            path = os.path.join(base, name)
            try:
                files.append((os.path.relpath(path, folder), os.lstat(path)))
            except FileNotFoundError:
                continue  # the program is still running
            if len(files) > _MOST_FILES:
                return files
    return files


def _too_much(folder: Path) -> bool:
    files = _walk(folder)
    return (
        len(files) > _MOST_FILES
        or sum(info.st_blocks * 512 for _, info in files) > _ALL_FILES_BYTES
    )


def _digests(folder: Path) -> dict[str, str]:
    digests: dict[str, str] = {}
    for name, info in sorted(_walk(folder)):
        digests[name] = ""
        if stat.S_ISREG(info.st_mode) and info.st_blocks * 512 <= _ALL_FILES_BYTES:
            try:
                with (folder / name).open("rb") as file:
                    digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
            except PermissionError:
                continue  # the program removed its own right to read it
    return digests


def _ran(done: Finished, case: RunCase, files: Mapping[str, str]) -> Ran:
    unexpected = ""
    if done.limit:
        unexpected = f"ended by the limit on {done.limit} after {done.seconds:.1f} s"
    elif case.expected_exit is not None and done.exit_code != case.expected_exit:
        how = (
            f"exit code {done.exit_code}"
            if done.signal is None
            else f"signal {done.signal}"
        )
        unexpected = f"expected exit code {case.expected_exit}, got {how}"
    elif case.expected_stdout is not None and done.stdout != case.expected_stdout:
        unexpected = (
            f"expected stdout {case.expected_stdout[:100]!r}, got {done.stdout[:100]!r}"
        )
    return Ran(
        exit_code=done.exit_code,
        signal=done.signal,
        stdout=done.stdout[:_SHOWN],
        stdout_sha256=hashlib.sha256(done.stdout).hexdigest(),
        stdout_bytes=len(done.stdout),
        stderr=done.stderr[:_SHOWN],
        seconds=done.seconds,
        cpu_s=done.cpu_s,
        peak_bytes=done.peak_bytes,
        files=files,
        limit=done.limit,
        held=done.held,
        unexpected=unexpected,
    )


def _end(ran: Ran) -> str:
    return (
        f"signal {ran.signal}" if ran.signal is not None else f"exit code {ran.exit_code}"
    )


def _first_difference(reference: Ran, candidate: Ran) -> str:
    both = zip(reference.stdout, candidate.stdout, strict=False)
    at = next((i for i, (a, b) in enumerate(both) if a != b), None)
    if at is None:
        return (
            f"stdout differs: {reference.stdout_bytes:,} bytes from the reference, "
            f"{candidate.stdout_bytes:,} from the candidate"
        )
    start = max(0, at - 20)
    return (
        f"stdout differs at byte {at:,}: {reference.stdout[start : at + 40]!r} from the reference,"
        f" {candidate.stdout[start : at + 40]!r} from the candidate"
    )

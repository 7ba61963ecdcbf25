"""Builds of a linked program by the target's gcc: of each source, and of the program as a whole.

lld links, as for all other builds. It cannot read gcc's intermediate code, so that gcc itself
merges the objects of `-flto` into one relocatable object first (`-r`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from search.domains.compile.builds import Build, link_line
from search.domains.compile.parse.image import ImageProblem
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.parse.sources import language_of_name
from solvers.llvm.confined import Limits
from solvers.llvm.eager_binding import NO_PLT
from solvers.llvm.frontend import SourceError, diagnostics, run_tool
from solvers.llvm.gcc import gcc_for, machine_words
from trimtab.specs.compile import Language

GCC, GCC_LTO = "gcc -Os, gc", "gcc -Oz -flto, gc"
_SECTIONS = ("-ffunction-sections", "-fdata-sections")
_COMPILE_S = 120.0
_WITH_PATH = ("-I", "-isystem", "-iquote", "-idirafter", "-include")
_ENTRY = frozenset({"main"})
_OF_CLANG = frozenset({"__clang_call_terminate"})  # written by clang, not by the sources


def build_gcc(
    problem: CompileProblem,
    folder: Path,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Build | None:
    """Build at -Os, where gcc is wanted and installed, and all sources are C or C++.

    Raises SourceError with gcc's messages, LlvmMissing, Stopped.
    """
    image = problem.image
    assert image is not None
    gcc = _compiler(problem)
    if gcc is None:
        return None
    words = ("-Os", *_SECTIONS)
    objects = _objects(problem, gcc, words, folder, stopped)
    file, message = link_line(image, image.line, objects, folder, stopped)
    return Build(
        name=GCC,
        file=file,
        compile_flags=words,
        link_flags=("-Wl,--gc-sections",),
        overflow=message,
    )


def build_gcc_lto(
    problem: CompileProblem,
    folder: Path,
    *,
    flags: Sequence[str] = (),
    stopped: Callable[[], bool] = lambda: False,
) -> Build | None:
    """Build at -Oz with -flto and -fwhole-program, where nothing but `main` is used from outside.

    flags: further options of gcc, for each source and for the program.

    None elsewhere, because -fwhole-program keeps no other symbol. -Oz is known to gcc from version
    12 on. Raises SourceError with gcc's messages, LlvmMissing, Stopped.
    """
    image = problem.image
    assert image is not None
    gcc = _compiler(problem)
    if gcc is None or frozenset(image.kept) - _OF_CLANG != _ENTRY:
        return None
    words = ("-Oz", *_SECTIONS, *_plt(image), *flags)
    objects = _objects(problem, gcc, ("-flto", *words), folder, stopped)
    merged = folder.resolve() / "merged.o"
    form = "pie" if problem.target.pic else "exec"
    _gcc(
        problem,
        [
            gcc, *words, *machine_words(problem.machine), _model(problem),
            # One process and one partition: nothing runs beside it, and -Oz sees all functions.
            "-flto=1", "-flto-partition=one", "-fwhole-program",
            # The linker's plugin would say which symbols others use: none but `main` is.
            "-fno-use-linker-plugin", "-r", f"-flinker-output={form}", "-nostdlib",
            "-w", *map(str, objects), "-o", str(merged),
        ],
        "the program",
        folder,
        stopped,
    )  # fmt: skip
    file, message = link_line(image, image.answer_line, [merged], folder, stopped)
    return Build(
        name=GCC_LTO,
        file=file,
        options=tuple(flags),
        compile_flags=("-flto", *words),
        link_flags=(
            "-flto", *words, "-fwhole-program", "-r", f"-flinker-output={form}", "-nostdlib",
            "-Wl,--gc-sections", *(f"-Wl,{word}" for word in image.answer_words),
        ),
        overflow=message,
    )  # fmt: skip


def _compiler(problem: CompileProblem) -> str | None:
    """Return the target's gcc; None where it is unwanted or missing, or some source is IR."""
    image, wanted = problem.image, problem.spec.image
    if image is None or not image.sources or (wanted is not None and not wanted.gcc):
        return None
    return gcc_for(problem.target.triple)


def _plt(image: ImageProblem) -> tuple[str, ...]:
    return (NO_PLT,) if image.binds_eagerly else ()


def _objects(
    problem: CompileProblem,
    gcc: str,
    words: Sequence[str],
    folder: Path,
    stopped: Callable[[], bool],
) -> list[Path]:
    """Compile each source into `folder`."""
    image = problem.image
    assert image is not None
    folder.mkdir(parents=True, exist_ok=True)
    objects = []
    for i, source in enumerate(image.sources):
        out = folder.resolve() / f"{i}.o"
        own = (*problem.flags, *image.file_flags.get(source, ()))
        _gcc(
            problem,
            [
                gcc, *words, *machine_words(problem.machine), *_shared(own, source),
                _model(problem),
                *(w for path in image.include for w in ("-I", str(path.resolve()))),
                *(
                    w
                    for path in image.system_include
                    for w in ("-isystem", str(path.resolve()))
                ),
                "-w", "-c", str(source.resolve()), "-o", str(out),
            ],
            source.name,
            folder,
            stopped,
        )  # fmt: skip
        objects.append(out)
    return objects


def _gcc(
    problem: CompileProblem,
    words: Sequence[str],
    what: str,
    folder: Path,
    stopped: Callable[[], bool],
) -> None:
    """Run gcc; its last word is the file that it writes. Raises SourceError, Stopped."""
    image = problem.image
    assert image is not None
    done = run_tool(
        "gcc",
        list(words),
        cwd=image.root,
        limits=Limits(wall_s=_COMPILE_S),
        readable=[
            image.root,
            *(path.resolve() for path in (*image.include, *image.system_include)),
        ],
        writable=[folder.resolve()],
        environment={
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C",
            "TMPDIR": str(folder.resolve()),
        },
        stopped=stopped,
    )
    if done.exit_code != 0 or not Path(words[-1]).exists():
        message = diagnostics(done, (), image.root, folder.resolve())
        raise SourceError(f"gcc does not compile {what}", message)


def _model(problem: CompileProblem) -> str:
    """Return the relocation model of the target, as gcc's option."""
    return "-fpie" if problem.target.pic else "-fno-pie"


def _shared(flags: Sequence[str], source: Path) -> list[str]:
    """Return the caller's flags that gcc shares."""
    cxx = language_of_name(source.name) is Language.CXX
    other = r"-std=.*\+\+.*" if not cxx else r"-std=(c|gnu|iso9899:)[0-9].*"
    shared: list[str] = []
    words = iter(flags)
    for flag in words:
        if flag in _WITH_PATH:
            shared += [flag, next(words, "")]
        elif re.match(r"-(D|U|std=|I|m|f)", flag) and not re.fullmatch(other, flag):
            shared.append(flag)
    return shared

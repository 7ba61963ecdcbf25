"""Builds of a linked program: a user's own, without a search, and the link of an answer.

A user's build is made from the same sources by the tools that a user calls: clang for each unit,
then lld by the line of clang's driver. Nothing is measured here, because the check of an answer
makes the builds again and measures them by other means than the search.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from search import engine_log
from search.domains.compile.parse.image import ONE_SECTION_EACH, ImageProblem
from search.domains.compile.parse.problem import CompileProblem
from solvers.llvm.driver import objects_by_clang
from solvers.llvm.eager_binding import NO_PLT
from solvers.llvm.execute import link_program
from solvers.llvm.keeps import bind_eagerly
from solvers.llvm.lld import LinkLine, Overflow, link_image

OZ, OZ_GC, OZ_LTO = "clang -Oz", "clang -Oz, gc", "clang -Oz -flto, gc"
PLAIN_FLAGS = "plain flags"


@dataclass(frozen=True, kw_only=True)
class Build:
    """A linked program, and how a user makes it."""

    name: str
    file: Path  # linked with larger regions where it does not fit into the script's
    compile_flags: tuple[str, ...]  # of the compiler
    link_flags: tuple[str, ...]  # of its driver at the link
    # Of LLVM, which the flags pass on; of gcc in its build.
    options: tuple[str, ...] = ()
    overflow: str = ""  # the linker's message where it does not fit


def build_own(
    problem: CompileProblem,
    name: str,
    folder: Path,
    *,
    flags: Sequence[str] = (),
    stopped: Callable[[], bool] = lambda: False,
) -> Build:
    """Build one of OZ, OZ_GC and OZ_LTO.

    flags: options of LLVM (`-mllvm` words) for it, and NO_PLT.

    Raises SourceError with the tools' messages, LlvmMissing, Stopped.
    """
    image = problem.image
    assert image is not None
    lto, gc = name == OZ_LTO, name != OZ
    front_end = (NO_PLT,) if NO_PLT in flags else ()
    own = tuple(flag for flag in problem.flags if flag not in ONE_SECTION_EACH)
    more = (*(ONE_SECTION_EACH if gc else ()), *(("-flto",) if lto else ()))
    mllvm = tuple(word for flag in flags if flag != NO_PLT for word in ("-mllvm", flag))
    units = _without_plt(image.units, folder) if front_end else image.units
    objects = objects_by_clang(
        units,
        folder / "objects",
        requested=problem.target,
        flags=own,
        more=(*more, *(() if lto else mllvm)),
        stopped=stopped,
    )
    line = image.lto_line if lto else image.line
    if not gc:
        line = _without_gc(line)
    if lto:
        line = line.with_words(*mllvm)
    if flags:
        line = line.with_words(*image.answer_words)
    file, message = link_line(image, line, objects, folder, stopped)
    shutil.rmtree(folder / "objects", ignore_errors=True)
    link_flags = [*(["-flto"] if lto else []), *(["-Wl,--gc-sections"] if gc else [])]
    link_flags += [f"-Wl,{','.join(mllvm)}"] if lto and mllvm else []
    link_flags += [f"-Wl,{word}" for word in image.answer_words] if flags else []
    return Build(
        name=name,
        file=file,
        compile_flags=("-Oz", *more, *front_end, *(() if lto else mllvm)),
        link_flags=tuple(link_flags),
        options=tuple(flags),
        overflow=message,
    )


def _without_plt(units: Sequence[Path], folder: Path) -> list[Path]:
    """Write the modules that clang's front-end makes with -fno-plt: it decides in the IR."""
    made = folder / "units"
    made.mkdir(parents=True, exist_ok=True)
    for unit in units:
        bind_eagerly(unit, made / unit.name)
    return [made / unit.name for unit in units]


def unoptimised_objects(problem: CompileProblem, folder: Path) -> list[Path]:
    """Write the -O0 objects of all units. Raises SourceError, LlvmMissing, Stopped."""
    assert problem.image is not None
    return objects_by_clang(
        problem.image.units,
        folder,
        requested=problem.target,
        flags=problem.flags,
        level="O0",
    )


def link_objects(
    image: ImageProblem,
    objects: Sequence[Path],
    folder: Path,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[Path, str]:
    """Link objects as the answer is linked: (program, message where it does not fit).

    Such a program is linked with larger regions. Writes the linker's map beside the program. Raises
    SourceError, LlvmMissing, Stopped.
    """
    return link_line(image, image.answer_line, objects, folder, stopped)


def link_for_runs(
    problem: CompileProblem,
    code: Path | bytes,
    folder: Path,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Link the object of a job without `image` to a program that can be run.

    Raises SourceError, LlvmMissing, Stopped.
    """
    if problem.run_line is None:
        return link_program(
            [code, *problem.objects],
            workdir=folder,
            target=problem.target,
            flags=problem.libraries,
            cxx=problem.cxx,
            stopped=stopped,
        )
    made = folder / "program.o"
    made.write_bytes(code if isinstance(code, bytes) else code.read_bytes())
    out = folder / "program.elf"
    link_image(problem.run_line, [made], out, stopped=stopped)
    return out


def link_line(
    image: ImageProblem,
    line: LinkLine,
    objects: Sequence[Path],
    folder: Path,
    stopped: Callable[[], bool],
) -> tuple[Path, str]:
    """Link by a line, and by one with larger regions where the program does not fit.

    Writes the linker's map beside the program. Returns the program and the linker's message.
    """
    out = folder / "image.elf"
    plan = folder / "image.map"
    extra = (f"-Map={plan.resolve()}", "--print-memory-usage")
    try:
        printed = link_image(line, objects, out, extra=extra, stopped=stopped)
    except Overflow as error:
        if image.relaxed is None:
            raise
        larger = line.with_script(image.relaxed)
        link_image(larger, objects, out, extra=extra, stopped=stopped)
        return out, error.diagnostics
    engine_log.write(f"lld, program of {folder.name}\n{printed}".encode())
    # As GNU ld does, which writes the memory configuration into its map.
    with plan.open("a", encoding="utf-8") as file:
        file.write(f"\n{printed}")
    return out, ""


def _without_gc(line: LinkLine) -> LinkLine:
    words = tuple(
        word
        for word in line.words
        if word != "--gc-sections" and not word.startswith("--icf")
    )
    return replace(line, words=words)

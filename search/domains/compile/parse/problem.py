"""Problem of a compile job: one module, its target, and the runs to compare programs on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from search.domains.compile.parse.image import (
    ONE_SECTION_EACH,
    ImageProblem,
    build_image,
)
from search.domains.compile.parse.module import (
    build_module,
    build_objects,
    hint_for,
    made,
)
from search.domains.compile.parse.runs import case_of, run_line_of, runner_of
from search.domains.compile.parse.sources import (
    LISTED,
    Sources,
    language_of_name,
    read_sources,
)
from search.domains.compile.parse.sysroot import library_of
from search.domains.compile.parse.target import check_served, decide_target, flavour_of
from search.types import InvalidInput
from solvers.llvm.c_library import CLibrary
from solvers.llvm.execute import RunCase
from solvers.llvm.frontend import SourceError
from solvers.llvm.gcc import gcc_for, package_for
from solvers.llvm.lld import LinkLine
from solvers.llvm.runners import NoRunner, Runner
from solvers.llvm.toolchain import is_hosted
from solvers.llvm.types import LlvmMissing, Metric, Target
from trimtab.specs.compile import CompileSpec, Image, Language, Mode, Objective

WHOLE_PROGRAM = (
    "the archive is a whole program: the linked program is the result, as with `image: {}`; "
    "`whole_program: false` gives the object"
)
_WARNING_CHARS = 2000  # of a source's warnings that are shown
_MAIN = re.compile(rb"\bmain\s*\(")


@dataclass(frozen=True, kw_only=True, eq=False)
class CompileProblem:
    """One module to be made small or fast. Nothing writes to `module`: the check reads it."""

    spec: CompileSpec
    module: Path  # bitcode, unoptimised
    target: Target  # as the front-end and the linker take it
    machine: Target  # as passes and code generator take it, after clang's driver
    pipelines: Mapping[str, str]  # level → pipeline that clang's own driver runs
    flags: tuple[str, ...]  # of the caller, for the front-end
    metric: Metric
    cases: tuple[RunCase, ...]  # requested runs; empty: the program's own `main`
    case_timeouts_s: tuple[float, ...]
    may_run: bool  # the owner allows it and this machine can
    runner: Runner  # command that runs its programs; unused where `may_run` is false
    objects: tuple[Path, ...]  # object files linked with the program
    libraries: tuple[str, ...]
    sources: tuple[str, ...]  # names, for people
    cxx: bool  # linked as C++
    notes: tuple[str, ...]
    workdir: Path
    image: ImageProblem | None = None  # None: the object is the result
    # Of a program that is linked for runs and is not for this processor.
    run_line: LinkLine | None = None
    library: CLibrary | None = None  # of a target without an operating system

    @property
    def timed(self) -> bool:
        """True when CPU time is the objective; `metric` is then only reported."""
        return self.spec.objective is Objective.RUN_TIME

    @property
    def flavour(self) -> str:
        """Level whose attributes the sources have."""
        return flavour_of(self.spec)


def parse_problem(
    spec: CompileSpec, inputs: Mapping[str, Path], workdir: Path
) -> CompileProblem:
    """Read and compile the sources. Raises InvalidInput, with the compiler's own messages."""
    target = Target(
        triple=spec.target.triple,
        cpu=spec.target.cpu,
        features=spec.target.features,
        pic=spec.target.pic,
    )
    check_served(target)
    sources = read_sources(spec, inputs, workdir)
    program = _whole_program(spec, inputs, sources, target, workdir)
    return program or _parse(spec, inputs, sources, target, workdir)


def _whole_program(
    spec: CompileSpec,
    inputs: Mapping[str, Path],
    sources: Sources,
    target: Target,
    workdir: Path,
) -> CompileProblem | None:
    """Return an archive as a linked program; None unless nothing is missing from it.

    One source alone stays an object: it may be part of a program that the service cannot see.
    """
    if (
        spec.image is not None
        or not spec.whole_program
        or spec.link.objects
        or spec.mode is not Mode.PRODUCT
        or spec.objective not in (Objective.LOADABLE_BYTES, Objective.CODE_BYTES)
        or sources.root is None
        or not is_hosted(target.triple)
        or not any(_has_main(path) for _, path in sources.files)
    ):
        return None
    program = spec.model_copy(update={"image": Image()})
    linked = replace(sources, notes=[WHOLE_PROGRAM])
    try:
        problem = _parse(program, inputs, linked, target, workdir)
    except InvalidInput:
        return None  # as an object it may be fine; otherwise the same message follows
    return None if problem.image is None or problem.image.undefined else problem


def _has_main(source: Path) -> bool:
    return _MAIN.search(source.read_bytes()) is not None


def _parse(
    spec: CompileSpec,
    inputs: Mapping[str, Path],
    sources: Sources,
    target: Target,
    workdir: Path,
) -> CompileProblem:
    """Compile the sources as the spec says. Raises InvalidInput."""
    if spec.image is not None:
        flags = (*ONE_SECTION_EACH, *sources.build.flags)
        sources = replace(sources, build=replace(sources.build, flags=flags))
    image: ImageProblem | None = None
    run_line: LinkLine | None = None
    languages = {language_of_name(path.name) for _, path in sources.files}
    module = workdir / "original.bc"
    warnings: list[str] = []
    try:
        driver = decide_target(languages, sources.build, target, made(workdir / "driver"))
        library = library_of(spec, inputs, driver.target, workdir)
        runner = runner_of(spec, driver.target.triple, library)
        if library is not None:
            build = replace(sources.build, system_include=library.include)
            sources = replace(sources, build=build)
        objects = build_objects(
            spec, inputs, target, workdir, system_include=sources.build.system_include
        )
        if spec.image is None:
            build_module(sources, spec, target, module, warnings.append)
            cxx = Language.CXX in languages
            run_line, runner = run_line_of(
                spec, runner, target, objects, library, cxx=cxx, workdir=workdir
            )
        else:
            image = build_image(
                spec,
                sources,
                target,
                objects,
                module,
                warnings.append,
                machine=driver.target,
                library=library,
            )
    except SourceError as error:
        raise InvalidInput(f"{error}{hint_for(str(error), spec)}") from error
    except LlvmMissing as error:
        raise InvalidInput(f"this server cannot compile: {error}") from error
    notes = [*sources.notes]
    notes += [f"compiler: {text[:_WARNING_CHARS]}" for text in warnings[:LISTED]]
    notes += _notes_of(target.triple, runner, library, linked=image is not None)
    names = tuple(name for name, _ in sources.files)
    return CompileProblem(
        spec=spec,
        module=module,
        target=replace(target, pic=driver.target.pic),
        machine=driver.target,
        pipelines=driver.levels,
        flags=sources.build.flags,
        metric=_metric(spec, image),
        cases=tuple(case_of(run, i, inputs) for i, run in enumerate(spec.runs)),
        case_timeouts_s=tuple(run.timeout_seconds for run in spec.runs),
        may_run=isinstance(runner, Runner) and (spec.run_by_itself or bool(spec.runs)),
        runner=runner if isinstance(runner, Runner) else Runner(name="none"),
        objects=objects,
        libraries=tuple(f"-l{library.value}" for library in spec.link.libraries),
        sources=names,
        cxx=any(language_of_name(name) is Language.CXX for name in names),
        notes=tuple(notes),
        workdir=workdir,
        image=image,
        run_line=run_line,
        library=library,
    )


def _notes_of(
    triple: str, runner: Runner | NoRunner, library: CLibrary | None, *, linked: bool
) -> list[str]:
    """Return what another processor's program is made and run with, and what it goes without."""
    notes = [] if library is None else [f"C library: {library.name}"]
    if isinstance(runner, NoRunner):
        notes.append(f"code for {triple} cannot be run on this machine: {runner.why}")
    elif runner.words:
        notes.append(f"programs run by {runner.name}")
    package = package_for(triple)
    if linked and package and gcc_for(triple) is None:
        notes.append(f"without gcc -Os in the table (Debian: apt-get install {package})")
    return notes


def _metric(spec: CompileSpec, image: ImageProblem | None) -> Metric:
    if spec.objective is Objective.RUN_TIME:
        return Metric.LOADABLE_BYTES
    if image is not None and image.weighted:
        return Metric.IMAGE_BYTES
    return Metric(spec.objective.value)

"""Encoding of a compile job: engine with the module, LLVM's levels, and -Oz measured."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from search.domains.compile.baselines import BEYOND_WEIGHT, Baseline, measured
from search.domains.compile.builds import OZ_GC, OZ_LTO, build_own
from search.domains.compile.parse.module import engine_limits
from search.domains.compile.parse.problem import CompileProblem
from search.types import InvalidInput
from solvers.llvm.engine import Built, CandidateFailed, Engine
from solvers.llvm.frontend import SourceError
from solvers.llvm.install import Installed, find_llvm
from solvers.llvm.keeps import share_saves
from solvers.llvm.types import (
    BadModule,
    EngineLimits,
    LlvmMissing,
    Measured,
    Outcome,
    Recipe,
    Sizes,
)

# Flavour of the module → level shown beside ours → options that give functions the attributes of
# that level.
SHOWN_LEVELS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Oz": {
        "O0": (),
        "O2": ("-force-remove-attribute=minsize", "-force-remove-attribute=optsize"),
        "Os": ("-force-remove-attribute=minsize",),
        "Oz": (),
    },
    "O2": {
        "O0": (),
        "O2": (),
        "Os": ("-force-attribute=optsize",),
        "Oz": ("-force-attribute=optsize", "-force-attribute=minsize"),
    },
}


_PATIENCE = 3.0  # times the user's builds, before a candidate counts as hanging
# -Oz is the answer if nothing else is: it may take so many times the limit of a candidate.
OZ_PATIENCE = 20.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Program in its engine, measured at -Oz; the search measures LLVM's other levels."""

    engine: Engine
    installed: Installed
    pipelines: Mapping[str, str]  # level → pipeline text
    rows: Mapping[str, Recipe]  # level of the size table → recipe
    levels: dict[str, Measured]  # levels measured so far
    notes: tuple[str, ...]
    # Programs that were built, by `Measured.program`: -Oz, after `prepare`.
    built: dict[str, Built] = field(default_factory=dict)
    # Linked programs only: the user's own builds by name.
    baselines: dict[str, Baseline] = field(default_factory=dict)
    builds_s: float = 0.0  # that they took
    # Names of those that behave differently from the unoptimised program.
    differing: set[str] = field(default_factory=set)

    @property
    def sizes(self) -> dict[str, Sizes]:
        """Sizes of the levels that compiled, in the table's order."""
        order = [name for name in self.rows if name in self.levels] or list(self.levels)
        return {
            name: sizes
            for name in order
            if (sizes := self.levels[name].sizes) is not None
        }


def prepare(problem: CompileProblem) -> Prepared:
    """Start the engine and measure -Oz. Raises InvalidInput."""
    limits = engine_limits(problem.module)
    began = time.monotonic()
    baselines = _baselines(problem)
    builds_s = time.monotonic() - began
    # A machine on which the user's builds take long is busy.
    patience_s = max(limits.candidate_s, _PATIENCE * builds_s)
    limits = replace(limits, candidate_s=patience_s)
    try:
        installed = find_llvm(problem.target.triple)
        engine, completed = _start_engine(problem, limits)
    except BadModule as error:
        raise InvalidInput(str(error)) from error
    except LlvmMissing as error:
        raise InvalidInput(f"this server cannot compile: {error}") from error
    try:
        prepared = _measured_at_oz(problem, engine, installed, completed)
        return replace(prepared, baselines=baselines, builds_s=builds_s)
    except BaseException:
        engine.kill()
        raise


def prepare_oz(problem: CompileProblem) -> Prepared:
    """Start the engine for -Oz alone, which is not measured yet: `levels` is empty."""
    engine, _ = _start_engine(problem, engine_limits(problem.module))
    try:
        pipelines = {"Oz": _readable(engine, "Oz", problem.pipelines["Oz"])}
        return Prepared(
            engine=engine,
            installed=find_llvm(problem.target.triple),
            pipelines=pipelines,
            rows={"Oz": _recipe(problem, "Oz", pipelines)},
            levels={},
            notes=tuple(problem.notes),
            baselines=_baselines(problem),
        )
    except BaseException:
        engine.close()
        raise


def _measured_at_oz(
    problem: CompileProblem,
    engine: Engine,
    installed: Installed,
    completed: int,
) -> Prepared:
    pipelines = {
        level: _readable(engine, level, text) for level, text in problem.pipelines.items()
    }
    rows = {
        level: _recipe(problem, level, pipelines)
        for level in SHOWN_LEVELS[problem.flavour]
    }
    # Only -Oz here: the search measures the other levels, because it watches the clock.
    # Built at once, not only measured: a run that ends early has an answer that much sooner.
    oz, built = _build_oz(engine, rows["Oz"])
    notes = list(problem.notes)
    if oz.outcome is Outcome.REFUSED and problem.image is not None:
        # The linker misses a symbol: better a larger program than none.
        notes.append(
            f"all symbols are kept, because the program does not link otherwise: {oz.detail[:500]}"
        )
        problem.module.write_bytes(problem.image.linked.read_bytes())
        engine.close()
        engine, completed = _start_engine(problem, engine_limits(problem.module))
        oz, built = _build_oz(engine, rows["Oz"])
    if built is None:
        raise InvalidInput(
            f"-Oz itself fails on this module ({oz.outcome.value}): "
            f"{oz.detail or 'LLVM gave no message'}"
        )
    saving = _saving_apart(problem, rows["Oz"], oz)
    if saving is not None:
        engine.close()
        engine, oz, built = saving
        notes.append(
            "registers are saved and restored by functions of libgcc, as with -msave-restore, "
            "because that is smaller"
        )
    if engine.info.inline_asm:
        notes.append(
            "the program has inline assembly: it is kept unchanged, and its behaviour is "
            "not analysed"
        )
    if completed:
        notes.append(
            f"{completed:,} functions did not name their processor: in original.bc they have "
            "the target's"
        )
    return Prepared(
        engine=engine,
        installed=installed,
        pipelines=pipelines,
        rows=rows,
        levels={"Oz": oz},
        notes=tuple(notes),
        built={oz.program: built},
    )


def _build_oz(engine: Engine, recipe: Recipe) -> tuple[Measured, Built | None]:
    """Return the measures of -Oz, and the program if it was made."""
    try:
        built = engine.build(recipe, patience=OZ_PATIENCE)
    except CandidateFailed as error:
        return error.measured, None
    return built.measured, built


def _saving_apart(
    problem: CompileProblem, recipe: Recipe, oz: Measured
) -> tuple[Engine, Measured, Built] | None:
    """Take the module as `-msave-restore` makes it, where RISC-V's -Oz is smaller with it.

    Returns an engine with that module, and its -Oz.
    """
    image = problem.image
    if image is None or not re.match(r"riscv(32|64)-.*(elf|none)", problem.target.triple):
        return None
    other = problem.workdir / "saving.bc"
    if not share_saves(problem.module, other):
        return None
    plain = problem.module.read_bytes()
    problem.module.write_bytes(other.read_bytes())
    trial, _ = _start_engine(problem, engine_limits(problem.module))
    measured, built = _build_oz(trial, recipe)
    metric = problem.metric
    if (
        built
        and measured.sizes
        and oz.sizes
        and measured.sizes.of(metric) < oz.sizes.of(metric)
    ):
        return trial, measured, built
    trial.close()
    problem.module.write_bytes(plain)
    return None


def _baselines(problem: CompileProblem) -> dict[str, Baseline]:
    """Build what the answer may not be larger than. Raises InvalidInput when no build links."""
    baselines: dict[str, Baseline] = {}
    if problem.image is None:
        return baselines
    for i, name in enumerate((OZ_GC, OZ_LTO)):
        try:
            build = build_own(problem, name, problem.workdir / f"baseline-{i}")
            baselines[name] = measured(problem.image, build)
        except SourceError as error:
            if name == OZ_GC:
                raise InvalidInput(f"{name}: {error}") from error
        except LlvmMissing as error:
            raise InvalidInput(f"this server cannot link: {error}") from error
    return baselines


def _link_order(problem: CompileProblem) -> dict[str, Any] | None:
    """Return the engine's order to link candidates, with the weights of their sizes."""
    image = problem.image
    if image is None:
        return None
    return {
        **image.answer_line.order(image.relaxed),
        "flash": image.flash_weight,
        "ram": image.ram_weight,
        "beyond": BEYOND_WEIGHT,
    }


def _recipe(problem: CompileProblem, level: str, pipelines: Mapping[str, str]) -> Recipe:
    options = SHOWN_LEVELS[problem.flavour][level]
    return Recipe(pipeline=pipelines[level], options=options)


def _start_engine(problem: CompileProblem, limits: EngineLimits) -> tuple[Engine, int]:
    """Load the module after giving target words to every function that has none.

    Returns the engine and the number of such functions.
    """

    def start() -> Engine:
        return Engine(
            problem.module.read_bytes(),
            target=problem.machine,
            limits=limits,
            workdir=problem.workdir,
            link=_link_order(problem),
        )

    engine = start()
    try:
        module, changed = engine.completed()
    except CandidateFailed:
        return engine, 0
    if not changed:
        return engine, 0
    engine.close()
    problem.module.write_bytes(module)
    return start(), changed


def _readable(engine: Engine, level: str, text: str) -> str:
    """Return clang's pipeline of a level in LLVM's syntax; `opt`'s own when it cannot be read."""
    try:
        return engine.readable(text)
    except ValueError:
        return engine.default_pipeline(level)

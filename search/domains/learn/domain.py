"""Kind `learn`: fit the models of another kind to a user's instances.

The solution is a model file with its card; `verify` derives the card's decision again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from search.domains.learn.encode import encode
from search.domains.learn.parse import Learners, parse
from search.domains.learn.problem import LearnProblem
from search.domains.learn.produce import produce
from search.domains.learn.search.run import outcome_of, run_search
from search.domains.learn.state import LearnState
from search.domains.learn.verify import verify
from search.stop import StoppingCriterion
from search.types import Extra, OnIncumbent, Produced, SearchOutcome
from trimtab.results import Verification
from trimtab.specs.learn import LearnSpec


class LearnDomain:
    """The pipeline's phases for a table of learners."""

    packages = ("numpy", "safetensors")

    def __init__(self, learners: Learners) -> None:
        self._learners = learners
        self._workdir = Path()

    def parse(
        self, spec: LearnSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> LearnProblem:
        """Read and merge the instances. Raises InvalidInput."""
        self._workdir = workdir
        return parse(spec, inputs, workdir, self._learners)

    def encode(self, problem: LearnProblem) -> None:
        """Return nothing: learners encode what they fit to."""
        return encode(problem)

    def search(
        self,
        problem: LearnProblem,
        encoding: None,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: LearnState | None = None,
    ) -> SearchOutcome:
        """Fit a model, and judge it by the held-out instances."""
        return run_search(
            problem,
            workdir=self._workdir,
            stop=stop,
            rng=rng,
            on_incumbent=on_incumbent,
            start=start,
        )

    def verify(self, problem: LearnProblem, solution: LearnState) -> Verification:
        """Derive the decision again from the card's rows, and check the model file."""
        return verify(problem, solution)

    def produce(
        self, problem: LearnProblem, solution: LearnState, workdir: Path
    ) -> list[Produced | Extra]:
        """Write model.safetensors, card.json and card.svg."""
        return produce(solution, workdir)

    def keep(self, problem: LearnProblem, solution: LearnState) -> bytes:
        """Serialise the state."""
        return solution.to_bytes()

    def restore(self, problem: LearnProblem, data: bytes) -> SearchOutcome:
        """Rebuild a state. Raises ValueError, KeyError or TypeError."""
        return outcome_of(LearnState.from_bytes(data))

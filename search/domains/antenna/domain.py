"""Kind `antenna`: search metal that is matched in given bands, and check it by another solver.

The search solves designs by a coarse and a fine method of moments; the check repeats the fine solve
and runs openEMS, a finite-difference solver that takes no part in choosing among designs of
different margins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from search.domains.antenna.design import AntennaSolution
from search.domains.antenna.encode import Estimate, encode, estimate
from search.domains.antenna.parse import AntennaProblem, parse
from search.domains.antenna.produce.files import produce
from search.domains.antenna.search.model import choose_fitted
from search.domains.antenna.search.run import run_search
from search.domains.antenna.search.solve import Evaluator
from search.domains.antenna.search.summary import estimated
from search.domains.antenna.search.textbook import textbook_patch
from search.domains.antenna.verify.fine import solve_fine
from search.domains.antenna.verify.second_solver import Opinions
from search.domains.antenna.verify.verification import Checked, verify_design
from search.model_files import ModelChoice, ModelOffer
from search.stop import StoppingCriterion
from search.types import Extra, OnIncumbent, Produced, SearchOutcome
from trimtab.results import Reason, Termination, Verification
from trimtab.specs.antenna import AntennaSpec

# For the second solver in a run that was finished after its process had died.
_LEFT_S = 120.0


class AntennaDomain:
    """The pipeline's stages. One object serves one run: it remembers the run's limits."""

    packages = ("scipy", "cma", "ezdxf", "gdstk")

    def __init__(self) -> None:
        self._offer = ModelOffer()
        self._choice: ModelChoice | None = None
        self._left_s: Callable[[], float] = lambda: _LEFT_S
        self._stopped: Callable[[], bool] = lambda: False
        self._opinions = Opinions()
        # The newest check by its design's key, for the files: they need not solve it again.
        self._checked: dict[bytes, Checked] = {}

    def take_models(self, offer: ModelOffer) -> None:
        """Receive the fitted surrogates that the job may use."""
        self._offer = offer

    def parse(
        self, spec: AntennaSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> AntennaProblem:
        """Return the problem. Raises InvalidInput."""
        problem = parse(spec, inputs, workdir)
        problem, self._choice = choose_fitted(problem, self._offer)
        return problem

    def encode(self, problem: AntennaProblem) -> Estimate:
        """Compute the solvers' tables and the a-priori estimate."""
        return encode(problem)

    def search(
        self,
        problem: AntennaProblem,
        encoding: Estimate,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: AntennaSolution | None = None,
    ) -> SearchOutcome:
        """Search through the funnel of coarse solver, fine solver and openEMS."""
        self._left_s = stop.remaining_s
        self._stopped = lambda: stop.remaining_s() <= 0
        outcome = run_search(
            problem,
            encoding,
            stop=stop,
            rng=rng,
            on_incumbent=on_incumbent,
            start=start,
            opinions=self._opinions,
        )
        if self._choice is None:
            return outcome
        summary = {**outcome.summary, "model_used": self._choice.summary()}
        return replace(outcome, summary=summary)

    def verify(self, problem: AntennaProblem, solution: AntennaSolution) -> Verification:
        """Check rules and margins, and run openEMS in the time that is left."""
        left = self._left_s()
        checked = verify_design(
            problem,
            solution,
            left_s=left if math.isfinite(left) else _LEFT_S,
            stopped=self._stopped,
            opinions=self._opinions,
        )
        self._checked = {solution.design.key: checked}
        return checked.verification

    def produce(
        self, problem: AntennaProblem, solution: AntennaSolution, workdir: Path
    ) -> list[Produced | Extra]:
        """Write description, response and files for manufacture; name pictures.

        A process that did not check the solution solves it once more.
        """
        checked = self._checked.get(solution.design.key)
        opinion = None if checked is None else checked.opinion
        fine = None if checked is None else checked.fine
        if fine is None:
            fine = solve_fine(problem, solution.design)
        return produce(problem, solution.design, fine, opinion, workdir)

    def keep(self, problem: AntennaProblem, solution: AntennaSolution) -> bytes:
        """Serialise the design and its objective as JSON."""
        return solution.to_bytes()

    def restore(self, problem: AntennaProblem, data: bytes) -> SearchOutcome:
        """Rebuild a serialised design. Raises ValueError, KeyError or TypeError."""
        solution = AntennaSolution.from_bytes(data)
        return _found(problem, solution, "restored")

    def baseline(self, problem: AntennaProblem) -> SearchOutcome:
        """Return a textbook patch, solved once, for a run that reported nothing."""
        design = textbook_patch(problem)
        margin_db = Evaluator(problem).score(design, "fine").margin_db
        objective = min(problem.spec.margin_db, margin_db)
        solution = AntennaSolution(design=design, objective_db=objective)
        return _found(problem, solution, "a textbook patch")


def _found(
    problem: AntennaProblem, solution: AntennaSolution, detail: str
) -> SearchOutcome:
    return SearchOutcome(
        termination=Termination(reason=Reason.FEASIBLE, detail=detail),
        solution=solution,
        objective=solution.objective_db,
        bound=None,
        sense="maximize",
        summary=estimated(estimate(problem)),
    )


def build() -> AntennaDomain:
    """Return the domain, for KINDS."""
    return AntennaDomain()

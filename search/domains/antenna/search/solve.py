"""The field solver as the search calls it: coarse or fine, with memory and counts."""

from __future__ import annotations

from typing import Literal

import numpy as np

from search.domains.antenna.design import Design
from search.domains.antenna.parse import FINE, AntennaProblem
from search.domains.antenna.search.score import Score, Scorer
from solvers.field.far_field import far_field
from solvers.field.moments import MomentMethod, antenna, refined_antenna
from solvers.field.rational import Rational
from solvers.field.sweep import sweep

Fidelity = Literal["coarse", "fine"]


class Evaluator:
    """Scores designs by the method of moments. Each design is solved once per fidelity."""

    def __init__(self, problem: AntennaProblem) -> None:
        self.problem = problem
        self.scorer = Scorer(problem)
        self._scores: dict[tuple[Fidelity, bytes], Score] = {}
        self.solved: dict[str, int] = {"coarse": 0, "fine": 0}
        self.newest: Rational | None = None  # response of the newest solve

    def known(self, design: Design, fidelity: Fidelity) -> bool:
        """Return whether the design was solved before."""
        return (fidelity, design.key) in self._scores

    def score(self, design: Design, fidelity: Fidelity) -> Score:
        """Solve a design and score it."""
        key = fidelity, design.key
        if key not in self._scores:
            self.solved[fidelity] += 1
            self._scores[key] = self._solve(design, fidelity)
        return self._scores[key]

    def _solve(self, design: Design, fidelity: Fidelity) -> Score:
        method = moment_method(self.problem, design, fidelity)
        swept = sweep(method, reference_ohm=self.problem.spec.z0_ohm)
        efficiencies: tuple[float, ...] = ()
        if self.problem.spec.min_efficiency > 0:
            efficiencies = tuple(
                far_field(method, index, thetas=12, phis=18).efficiency
                for index in centres(self.problem)
            )
        self.newest = swept.model
        return self.scorer.score(swept.model, efficiencies)


def moment_method(
    problem: AntennaProblem, design: Design, fidelity: Fidelity
) -> MomentMethod:
    """Return the method of moments for a design."""
    if fidelity == "coarse":
        built = antenna(design.mask, [design.feed], design.vias)
        return MomentMethod(problem.coarse, built)
    built = refined_antenna(design.mask, design.feed, design.vias, factor=FINE)
    return MomentMethod(problem.fine, built)


def centres(problem: AntennaProblem) -> list[int]:
    """Return the table's frequency next to the centre of each band."""
    return [
        int(np.abs(problem.frequencies_hz - (band.f_lo_hz + band.f_hi_hz) / 2).argmin())
        for band in problem.spec.bands
    ]

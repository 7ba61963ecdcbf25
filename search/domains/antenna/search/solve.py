"""The field solver as the search calls it: coarse or fine, with memory and counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.parse import FINE, AntennaProblem
from search.domains.antenna.search.samples import BandSamples
from search.domains.antenna.search.score import Score, Scorer
from solvers.field.coarse import coarse_tables
from solvers.field.far_field import far_field
from solvers.field.moments import MomentMethod, antenna, refined_antenna
from solvers.field.rational import Rational
from solvers.field.sweep import sweep
from solvers.field.tables import Tables

Fidelity = Literal["coarse", "fine"]
# By which the coarse bands are wider at each edge, relative: the meshes differ by up to 2 %.
WIDENED = 0.005


class Evaluator:
    """Scores designs by the method of moments. Each design is solved once per fidelity.

    Coarse: one cell per pixel at few frequencies in each band, a little wider than asked for.
    Fine: 2 x 2 cells per pixel, swept over all frequencies, as the check does.
    """

    def __init__(self, problem: AntennaProblem) -> None:
        self.problem = problem
        self.scorer = Scorer(problem)
        self.samples = BandSamples(problem.spec, widened=WIDENED)
        self._scores: dict[tuple[Fidelity, bytes], Score] = {}
        self.solved: dict[str, int] = {"coarse": 0, "fine": 0}
        self.newest: Rational | None = None  # response of the newest fine solve
        self.on_coarse: Callable[[Design, NDArray[np.complex128]], None] | None = None
        # Designs whose response was computed from a neighbour's, beside those solved.
        self.neighbours: dict[str, int] = {"coarse": 0, "fine": 0}

    @cached_property
    def coarse(self) -> Tables:
        """Tables of the coarse solver, computed on first use."""
        return coarse_tables(
            self.problem.board, self.problem.grid, self.samples.frequencies_hz
        )

    def known(self, design: Design, fidelity: Fidelity) -> bool:
        """Return whether the design was solved before."""
        return (fidelity, design.key) in self._scores

    def score(self, design: Design, fidelity: Fidelity) -> Score:
        """Solve a design and score it."""
        key = fidelity, design.key
        if key not in self._scores:
            self.solved[fidelity] += 1
            solve = self._solve_coarse if fidelity == "coarse" else self._solve_fine
            self._scores[key] = solve(design)
        return self._scores[key]

    def _solve_coarse(self, design: Design) -> Score:
        method = MomentMethod(
            self.coarse, antenna(design.mask, [design.feed], design.vias)
        )
        count = len(self.samples.frequencies_hz)
        y = np.array([1 / method.input_impedance(index) for index in range(count)])
        s11 = self.samples.reflections(y)
        if self.on_coarse is not None:
            self.on_coarse(design, s11)
        return self.samples.score(s11, self._efficiencies(method, self.samples.centres))

    def _solve_fine(self, design: Design) -> Score:
        method = fine_method(self.problem, design)
        swept = sweep(method, reference_ohm=self.problem.spec.z0_ohm)
        self.newest = swept.model
        efficiencies = self._efficiencies(method, centres(self.problem))
        return self.scorer.score(swept.model, efficiencies)

    def _efficiencies(self, method: MomentMethod, at: list[int]) -> tuple[float, ...]:
        if self.problem.spec.min_efficiency == 0:
            return ()
        return tuple(
            far_field(method, index, thetas=12, phis=18).efficiency for index in at
        )


def fine_method(problem: AntennaProblem, design: Design) -> MomentMethod:
    """Return the fine method of moments for a design."""
    built = refined_antenna(design.mask, design.feed, design.vias, factor=FINE)
    return MomentMethod(problem.fine, built)


def centres(problem: AntennaProblem) -> list[int]:
    """Return the table's frequency next to the centre of each band."""
    return [
        int(np.abs(problem.frequencies_hz - (band.f_lo_hz + band.f_hi_hz) / 2).argmin())
        for band in problem.spec.bands
    ]

"""Reduced-cost fixing: variables that no better solution can move, by the root LP.

An integer variable at a bound in the LP optimum with reduced cost d costs at least |d| to move by
one. If LP value + |d| exceeds what a better solution may cost, every better solution has it at that
bound. On set cover this leaves a fraction of the columns to choose from, and sub-MIPs of the same
size reach further.
"""

from __future__ import annotations

import numpy as np

from solvers.relaxation import LpSolution
from solvers.types import Bools, Floats, MilpModel

_SLACK = 1e-6


class ReducedCostFixing:
    """Fixings that follow from a solved root LP and a cutoff."""

    def __init__(self, model: MilpModel, root: LpSolution) -> None:
        if root.x is None or root.reduced_costs is None or root.objective is None:
            raise ValueError(
                "reduced-cost fixing: expected a root LP solved to optimality"
            )
        self._lp = root.objective
        self._cost = np.abs(root.reduced_costs)  # (n,)
        at_lower = (
            model.integrality
            & (root.x <= model.col_lower + 1e-9)
            & (root.reduced_costs > 0)
        )
        at_upper = (
            model.integrality
            & (root.x >= model.col_upper - 1e-9)
            & (root.reduced_costs < 0)
        )
        self._resting = at_lower | at_upper
        self._bound = np.where(at_upper, model.col_upper, model.col_lower)

    def movable(self, x: Floats, cutoff: float) -> tuple[Bools, Bools]:
        """Return the variables that may move and those that must move, masks of shape (n,).

        A solution better than `cutoff` may differ from `x` in the former only, and it differs from
        `x` in all of the latter.
        """
        room = cutoff - self._lp + _SLACK * max(1.0, abs(cutoff))
        pinned = self._resting & (self._cost > room)
        away = pinned & (np.abs(x - self._bound) > 0.5)
        return ~pinned | away, away

"""Variables that no better solution can move, by their reduced costs at the root LP (reduced-cost fixing).

An integer variable that rests at a bound in the LP optimum with reduced cost d costs at least |d| to move by one. Where LP
value + |d| exceeds what a better solution may cost, every better solution has it at that bound. On set cover this leaves a
neighbourhood a fraction of the columns to choose from, and sub-MIPs of the same size reach further.
"""

from __future__ import annotations

import numpy as np

from solvers.relaxation import LpSolution
from solvers.types import Bools, Floats, MilpModel

_SLACK = 1e-6


class ReducedCostFixing:
    """Made from a solved root LP."""

    def __init__(self, model: MilpModel, root: LpSolution) -> None:
        if root.x is None or root.reduced_costs is None or root.objective is None:
            raise ValueError("pruning wants a root LP that was solved to optimality")
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
        self._bound = np.where(
            at_upper, model.col_upper, model.col_lower
        )  # where they rest

    def movable(self, x: Floats, cutoff: float) -> tuple[Bools, Bools]:
        """(may move, must move): variables some solution better than `cutoff` may have elsewhere than `x` has them, and those
        that every such solution has elsewhere. Shapes (n,)."""
        room = cutoff - self._lp + _SLACK * max(1.0, abs(cutoff))
        pinned = self._resting & (self._cost > room)
        away = pinned & (np.abs(x - self._bound) > 0.5)
        return ~pinned | away, away

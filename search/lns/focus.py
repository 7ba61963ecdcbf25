"""Focus of the arms: the variables that may move, and a core of those that are worth freeing."""

from __future__ import annotations

import numpy as np

from search.lns.core_columns import CoreColumns
from search.lns.reduced_cost_fixing import ReducedCostFixing
from solvers.relaxation import LpSolution
from solvers.types import Bools, Floats, MilpModel


class Focus:
    """Default focus: all variables may move."""

    def __init__(self, model: MilpModel) -> None:
        self._model = model
        self._everything = np.ones(model.n, dtype=bool)
        self._nothing = np.zeros(model.n, dtype=bool)

    def learn(self, root: LpSolution) -> None:
        """Take the root LP's optimum into account."""

    def movable(self, x: Floats, cutoff: float) -> tuple[Bools, Bools]:
        """Return (n,) the variables that may move and that must, in solutions below `cutoff`."""
        return self._everything, self._nothing

    def core(self, count: int, x: Floats) -> Bools | None:
        """Return (n,) about `count` variables that good solutions use; None if unknown."""
        return None


class RootFocus(Focus):
    """Core by cost; core by reduced cost and reduced-cost fixing once the root LP is solved."""

    def __init__(self, model: MilpModel, core: CoreColumns) -> None:
        super().__init__(model)
        self._core = core
        self._pruning: ReducedCostFixing | None = None

    def learn(self, root: LpSolution) -> None:
        """Fix and rank by reduced costs from now on."""
        self._pruning = ReducedCostFixing(self._model, root)
        self._core.learn(root)

    def movable(self, x: Floats, cutoff: float) -> tuple[Bools, Bools]:
        """Return (n,) what reduced-cost fixing leaves movable; everything before the root LP."""
        if self._pruning is None:
            return super().movable(x, cutoff)
        return self._pruning.movable(x, cutoff)

    def core(self, count: int, x: Floats) -> Bools | None:
        """Return (n,) the `count` best variables and those that `x` uses."""
        return self._core.best(count, x)

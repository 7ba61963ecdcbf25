"""The root LP, solved by a process of its own and passed on through shared memory.

Inside the search it blocked all arms: on a combinatorial auction of 4,000 bids nothing was improved
for the 1.1 s it takes. Now only the arms that need it wait. There is one writer and many readers;
the writer sets the state last.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable

import numpy as np

from search.isolation import Say
from solvers.relaxation import Basis, LpSolution, Relaxation, safe_bound
from solvers.types import MilpModel
from trimtab.results import Reason, Termination

_HEADER_BYTES = 64
_PENDING, _SOLVED, _FAILED = 0, 1, 2


class SharedRootLp:
    """The optimum of the root LP in shared memory: x, reduced costs, duals, basis and bound.

    It must be created before the fork.
    """

    def __init__(self, model: MilpModel) -> None:
        n, m = model.n, model.m
        self._memory = mmap.mmap(-1, _HEADER_BYTES + 8 * (2 * n + m) + n + m + 8)
        self._state = np.frombuffer(self._memory, dtype=np.int64, count=1)
        # Bound, objective, seconds.
        self._numbers = np.frombuffer(self._memory, dtype=np.float64, count=3, offset=8)
        at = _HEADER_BYTES
        self._x = np.frombuffer(self._memory, dtype=np.float64, count=n, offset=at)
        self._reduced = np.frombuffer(
            self._memory, dtype=np.float64, count=n, offset=at + 8 * n
        )
        self._duals = np.frombuffer(
            self._memory, dtype=np.float64, count=m, offset=at + 16 * n
        )
        at += 8 * (2 * n + m)
        self._columns = np.frombuffer(self._memory, dtype=np.int8, count=n, offset=at)
        self._rows = np.frombuffer(self._memory, dtype=np.int8, count=m, offset=at + n)
        self._numbers[0] = -math.inf

    @property
    def pending(self) -> bool:
        """True until the LP is solved or given up."""
        return int(self._state[0]) == _PENDING

    @property
    def bound(self) -> float:
        """A lower bound on the objective; minus infinity until the LP is solved."""
        return float(self._numbers[0])

    def put(self, solution: LpSolution, basis: Basis, bound: float) -> None:
        """Write the optimum. For the writer's process only."""
        if (
            solution.x is None
            or solution.reduced_costs is None
            or solution.row_duals is None
        ):
            raise ValueError("root LP: expected a solution with duals, got one without")
        self._x[:], self._reduced[:], self._duals[:] = (
            solution.x,
            solution.reduced_costs,
            solution.row_duals,
        )
        self._columns[:], self._rows[:] = basis.columns, basis.rows
        self._numbers[1:] = (solution.objective, solution.elapsed_s)
        self._numbers[0] = bound
        self._state[0] = _SOLVED

    def give_up(self) -> None:
        """Declare that there will be no optimum."""
        if self.pending:
            self._state[0] = _FAILED

    def take(self) -> tuple[LpSolution, Basis] | None:
        """Return the optimum and its basis; None while it is pending and after giving up."""
        if int(self._state[0]) != _SOLVED:
            return None
        return LpSolution(
            termination=Termination(
                reason=Reason.OPTIMAL, detail="solved beside the search"
            ),
            objective=float(self._numbers[1]),
            x=self._x.copy(),
            row_duals=self._duals.copy(),
            reduced_costs=self._reduced.copy(),
            iterations=0,
            elapsed_s=float(self._numbers[2]),
        ), Basis(columns=self._columns.copy(), rows=self._rows.copy())


def solve_root(
    model: MilpModel, place: SharedRootLp, *, seconds: float
) -> Callable[[Say], None]:
    """Return the work of the process that solves the root LP within `seconds`."""

    def work(say: Say) -> None:
        try:
            relaxation = Relaxation(model)
            # No stop callback: the process is killed instead, and each call costs interpreter time.
            root = relaxation.root(time_limit_s=max(0.01, seconds))
            if root.optimal and root.row_duals is not None:
                place.put(root, relaxation.basis(), safe_bound(model, root.row_duals))
        finally:
            place.give_up()

    return work

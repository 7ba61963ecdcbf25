"""The root LP beside the search: solved by a process of its own, handed over through shared memory.

Inside the search it stood in the way: on a combinatorial auction of 4,000 bids nothing was improved for the 1.1 s it takes.
The arms that want it now wait for it, and the others search on. One writer, many readers; the state is written last.
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
    """Shared memory for the LP's optimum: x, reduced costs, duals, basis, and the bound that follows. Made before the fork."""

    def __init__(self, model: MilpModel) -> None:
        n, m = model.n, model.m
        self._memory = mmap.mmap(-1, _HEADER_BYTES + 8 * (2 * n + m) + n + m + 8)
        self._state = np.frombuffer(self._memory, dtype=np.int64, count=1)
        self._numbers = np.frombuffer(
            self._memory, dtype=np.float64, count=3, offset=8
        )  # bound, objective, seconds
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
        """True until it is solved or given up."""
        return int(self._state[0]) == _PENDING

    @property
    def bound(self) -> float:
        """No solution of the model is better; minus infinity while nothing is known."""
        return float(self._numbers[0])

    def put(self, solution: LpSolution, basis: Basis, bound: float) -> None:
        """Write the optimum (the one writer only)."""
        if (
            solution.x is None
            or solution.reduced_costs is None
            or solution.row_duals is None
        ):
            raise ValueError("a root LP that was solved to optimality is wanted")
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
        """There will be none."""
        if self.pending:
            self._state[0] = _FAILED

    def take(self) -> tuple[LpSolution, Basis] | None:
        """The optimum and its basis; None while pending and when there is none."""
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
    """Work of the process that solves the root LP, within `seconds`."""

    def work(say: Say) -> None:
        try:
            relaxation = Relaxation(model)
            # No callback asks whether to stop: the process is killed, and asking costs a step of the interpreter each.
            found = relaxation.root(time_limit_s=max(0.01, seconds))
            if found.optimal and found.row_duals is not None:
                place.put(found, relaxation.basis(), safe_bound(model, found.row_duals))
        finally:
            place.give_up()

    return work

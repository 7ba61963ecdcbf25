"""Recorder of one search: its curve, and reports of better points to the pipeline."""

from __future__ import annotations

import time
from collections import deque

from search.domains.ilp.problem import IlpProblem
from search.domains.ilp.solution import Curve, IlpSolution
from search.types import OnIncumbent
from solvers.scaling import ScaledModel
from solvers.types import Floats
from trimtab.results import Incumbent

_CURVE_POINTS = 100_000
_POOL_BYTES = 64 << 20  # of solutions that are kept for the pool


class Recorder:
    """Report points that do not worsen the objective; a later engine starts a new sequence."""

    def __init__(
        self, problem: IlpProblem, scaled: ScaledModel, on_incumbent: OnIncumbent
    ) -> None:
        self._scaled, self._on_incumbent = scaled, on_incumbent
        self._began = problem.began
        self._sign = -1.0 if problem.model.maximize else 1.0
        self._best: Incumbent | None = None
        self._x: Floats | None = None
        self._curve: list[tuple[float, float | None, float | None]] = []
        most = 0 if problem.spec.pool is None else 2 * problem.spec.pool.size
        fitting = _POOL_BYTES // (8 * max(1, problem.model.n))
        self._reported: deque[Floats] = deque(maxlen=min(most, fitting))

    @property
    def curve(self) -> Curve:
        """(seconds, incumbent, bound) of the points so far."""
        return tuple(self._curve)

    @property
    def reported(self) -> tuple[Floats, ...]:
        """The newest solutions (n,), in scaled units, for the pool; none where there is no pool."""
        return tuple(self._reported)

    def __call__(self, point: Incumbent, x: Floats | None = None) -> None:
        """Report a point; x (n,) is its solution in scaled units."""
        if self._is_worse(point):
            return
        self._best = point
        if len(self._curve) < _CURVE_POINTS:
            seconds = time.monotonic() - self._began
            self._curve.append((seconds, point.objective, point.bound))
        if x is None or x is self._x:  # only the bound has changed
            self._on_incumbent(point)
            return
        self._x = x
        self._reported.append(x)
        restore, objective = self._scaled.restore, point.objective or 0.0
        self._on_incumbent(point, lambda: IlpSolution(x=restore(x), objective=objective))

    def _is_worse(self, point: Incumbent) -> bool:
        best = None if self._best is None else self._best.objective
        if best is None:
            return False
        return point.objective is None or self._sign * point.objective > self._sign * best

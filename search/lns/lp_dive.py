"""LP dive: fix variables that are nearly integral in the LP optimum, solve again, repeat.

Where no construction applies (partitioning rows) this gives a first solution some hundredths of a
second after the root LP. Fractional diving (Berthold 2006, section 3.2) with several variables per
step and a little backtracking: a step without an LP solution is reduced to the variable nearest to
its upper value, and if that fails too, the variable is rounded down.
"""

from __future__ import annotations

import time

import numpy as np

from solvers.relaxation import LpSolution, Relaxation
from solvers.types import Floats, MilpModel, Stop

_INTEGRAL = 1e-6  # tolerance
_NEARLY = 0.8  # fractional parts from here on are rounded up together with integral ones
_MOST_FAILURES = 12


def lp_dive(
    model: MilpModel,
    relaxation: Relaxation,
    root: LpSolution,
    *,
    until: float,
    stop: Stop,
    nearly: float = _NEARLY,
) -> Floats | None:
    """Return (n,) an LP solution with integral integers, feasible within the LP's tolerances.

    None when the dive fails or `until` (processor time of this process) or `stop` ends it first.
    The caller rounds and checks the point.

    nearly: fractional parts from here on are rounded up together with integral variables.
    """
    if root.x is None:
        return None
    integers = np.flatnonzero(model.integrality)
    low, high = model.col_lower.copy(), model.col_upper.copy()
    x, failures = root.x, 0
    while failures <= _MOST_FAILURES:
        part = x[integers] - np.floor(x[integers] + _INTEGRAL)
        open_ = part > _INTEGRAL
        if not bool(open_.any()):
            return x
        settled = (
            ~open_ & (np.rint(x[integers]) > low[integers]) & (high[integers] <= 1.0)
        )
        nearest = int(integers[np.argmax(np.where(open_, part, -1.0))])
        up = np.union1d(integers[settled | (open_ & (part >= nearly))], [nearest])
        solution = None
        for batch in (up, np.array([nearest])):
            left_s = until - time.process_time()
            if left_s <= 0 or stop():
                return None
            trial = low.copy()
            trial[batch] = np.minimum(high[batch], np.ceil(x[batch] - _INTEGRAL))
            solution = _within(relaxation, trial, high, left_s, stop)
            if solution is not None:
                low = trial
                break
            failures += 1
            if len(up) == 1:
                break
        if solution is None:
            high[nearest] = np.floor(x[nearest] + _INTEGRAL)
            if high[nearest] < low[nearest]:
                return None
            solution = _within(relaxation, low, high, until - time.process_time(), stop)
            if solution is None:
                return None
        x = solution
    return None


def _within(
    relaxation: Relaxation, low: Floats, high: Floats, seconds: float, stop: Stop
) -> Floats | None:
    return relaxation.within(low, high, time_limit_s=max(0.01, seconds), stop=stop).x

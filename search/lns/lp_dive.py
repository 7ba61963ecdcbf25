"""An LP dive: fix what the LP's optimum has whole or nearly so, solve the rest again, go on until all integers are whole.

Where no construction fits (partitioning rows) this gives a first solution some hundredths of a second after the root LP.
Vector of steps as in "fractional diving" (Berthold 2006, section 3.2), several variables a step, with a little backtracking:
a step that leaves no solution is taken back to its surest variable, and that one is sent the other way when it fails alone.
"""

from __future__ import annotations

import time

import numpy as np

from solvers.relaxation import LpSolution, Relaxation
from solvers.types import Floats, MilpModel, Stop

_WHOLE = 1e-6
_NEARLY = 0.8  # of the way up: fixed together with those at one
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
    """(n,) an LP solution with whole integers; None when `until` (processor time of this process) or `stop` come first.

    nearly: fractional parts from which on a variable is rounded up along with those that are whole. What comes back is
    feasible within the LP's tolerances; the caller rounds and checks.
    """
    if root.x is None:
        return None
    integers = np.flatnonzero(model.integrality)
    low, high = model.col_lower.copy(), model.col_upper.copy()
    x, failures = root.x, 0
    while failures <= _MOST_FAILURES:
        part = x[integers] - np.floor(x[integers] + _WHOLE)
        open_ = part > _WHOLE
        if not bool(open_.any()):
            return x
        settled = ~open_ & (np.rint(x[integers]) > low[integers]) & (high[integers] <= 1.0)
        surest = int(integers[np.argmax(np.where(open_, part, -1.0))])
        up = np.union1d(integers[settled | (open_ & (part >= nearly))], [surest])
        found = None
        for batch in (up, np.array([surest])):
            left_s = until - time.process_time()
            if left_s <= 0 or stop():
                return None
            trial = low.copy()
            trial[batch] = np.minimum(high[batch], np.ceil(x[batch] - _WHOLE))
            found = _within(relaxation, trial, high, left_s, stop)
            if found is not None:
                low = trial
                break
            failures += 1
            if len(up) == 1:
                break
        if found is None:
            high[surest] = np.floor(x[surest] + _WHOLE)
            if high[surest] < low[surest]:
                return None
            found = _within(relaxation, low, high, until - time.process_time(), stop)
            if found is None:
                return None
        x = found
    return None


def _within(
    relaxation: Relaxation, low: Floats, high: Floats, seconds: float, stop: Stop
) -> Floats | None:
    return relaxation.within(low, high, time_limit_s=max(0.01, seconds), stop=stop).x

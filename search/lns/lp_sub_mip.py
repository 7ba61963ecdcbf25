"""Start heuristic: fix what the root LP settles, and solve the rest as a small program.

A relaxation-induced restriction in the manner of RENS (Berthold, Mathematical Programming
Computation 6, 2014) with the fractional rows whole: an LP vertex of an assignment with capacities
splits at most one job an agent, and a split job may go to any agent. Rounding and diving end there,
because the last jobs fit nowhere among the fixed ones.
"""

from __future__ import annotations

import time

import numpy as np

from search.lns.sub_mip import Slicer
from solvers.types import Bools, Floats, MilpModel, SolveParams, Solver, Stop

_FRACTIONAL = 1e-6
_GAP = 1e-2


def lp_sub_mip(
    slicer: Slicer,
    lp_x: Floats,
    solver: Solver,
    *,
    share: float,
    most_share: float,
    rng: np.random.Generator,
    seconds: float,
    stop: Stop,
) -> Floats | None:
    """Return (n,) a solution with most integer variables at their rounded LP values, or None.

    Free are the fractional variables, all integer ones of the equality rows that hold one, and
    those of a random `share` of the other equality rows. most_share: of the integer variables that
    may be free; None beyond. seconds: of processor time.
    """
    model = slicer.model
    integer, rounded = model.integrality, np.rint(lp_x)
    fractional = integer & (np.abs(lp_x - rounded) > _FRACTIONAL)
    equal = model.row_lower == model.row_upper
    rows = equal & (_holding(model, fractional) | (rng.random(model.m) < share))
    free = ~integer | fractional | (integer & _members(model, rows))
    if int((free & integer).sum()) > most_share * int(integer.sum()):
        return None
    x = np.where(integer & ~free, rounded, lp_x)
    sub = slicer.cut(x, free)
    if sub is None:
        return None
    if sub.model.n == 0:
        return x
    until = time.process_time() + seconds
    result = solver.solve(
        sub.model,
        SolveParams(seed=int(rng.integers(2**31 - 1)), relative_gap=_GAP),
        stop=lambda: stop() or time.process_time() > until,
    )
    return None if result.x is None else sub.lift(x, result.x)


def _holding(model: MilpModel, columns: Bools) -> Bools:
    """Return (m,) the rows with an entry in one of the columns (n,)."""
    holding = np.zeros(model.m, dtype=bool)
    holding[model.row_of_entry[columns[model.indices]]] = True
    return holding


def _members(model: MilpModel, rows: Bools) -> Bools:
    """Return (n,) the columns with an entry in one of the rows (m,)."""
    members = np.zeros(model.n, dtype=bool)
    members[model.indices[rows[model.row_of_entry]]] = True
    return members

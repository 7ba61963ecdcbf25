"""Bounds of columns that the rows imply, where a column has none of its own."""

from __future__ import annotations

import numpy as np

from solvers.types import Floats, MilpModel

_ROUNDS = 5
_WHOLE = 1e-6  # beside a whole number that is the number still


def implied_bounds(model: MilpModel) -> tuple[Floats, Floats]:
    """Return bounds (n,), (n,) of the columns, tightened by the rows where they are absent."""
    lower, upper = model.col_lower.copy(), model.col_upper.copy()
    entries = np.flatnonzero(model.data)
    row, column = model.row_of_entry[entries], model.indices[entries]
    data = model.data[entries]
    absent = ~(np.isfinite(lower) & np.isfinite(upper)) & model.integrality
    for _ in range(_ROUNDS):
        if not bool(absent.any()):
            break
        for side, sign in ((model.row_upper, 1.0), (-model.row_lower, -1.0)):
            _tighten(sign * data, row, column, side, lower, upper)
        whole = model.integrality
        lower = np.where(whole, np.ceil(lower - _WHOLE), lower)
        upper = np.where(whole, np.floor(upper + _WHOLE), upper)
        absent = ~(np.isfinite(lower) & np.isfinite(upper)) & model.integrality
    return lower, upper


def _tighten(
    data: Floats,
    row: np.ndarray,
    column: np.ndarray,
    side: Floats,
    lower: Floats,
    upper: Floats,
) -> None:
    """Tighten bounds by the rows Σ data · x ≤ side, in place, where all other terms have one."""
    least = np.where(data > 0, data * lower[column], data * upper[column])
    finite = np.isfinite(least)
    sums = np.bincount(row, weights=np.where(finite, least, 0.0), minlength=len(side))
    open_terms = np.bincount(row, weights=~finite, minlength=len(side))
    alone = np.isfinite(side[row]) & (open_terms[row] - ~finite == 0)
    rest = sums[row] - np.where(finite, least, 0.0)
    with np.errstate(over="ignore"):
        limit = (side[row] - rest) / data
    above, below = alone & (data > 0), alone & (data < 0)
    np.minimum.at(upper, column[above], limit[above])
    np.maximum.at(lower, column[below], limit[below])

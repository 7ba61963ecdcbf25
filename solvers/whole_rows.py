"""Whole rows: integer variables, coefficients and sides, up to a common power of ten.

The activity of such a row is a multiple of its unit, so the row holds exactly or is violated by at
least one unit. A tolerance relative to the side would let whole units pass. Rows with a number of
more than nine decimal places and more than nine significant digits count as measured data and have
the usual tolerance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MAX_PLACES = 9  # of any number
# Of numbers of at most nine significant digits; 10^22 is the last power of ten that is a double.
MAX_SMALL_PLACES = 22
SMALL = 10**9
_EXACT_DOUBLE = 2.0**53


def decimal_places(values: Floats) -> NDArray[np.int64]:
    """Return the decimal places of each value, shape (k,).

    -1 for numbers that count as measured data, 0 for infinities.
    """
    places = np.full(len(values), -1, dtype=np.int64)
    open_ = np.arange(len(values))
    for k in range(MAX_SMALL_PLACES + 1):
        power = 10.0**k
        if k > MAX_PLACES:
            open_ = open_[np.abs(values[open_]) * power < SMALL]
        part = values[open_]
        with np.errstate(over="ignore", invalid="ignore"):
            whole = np.rint(part * power)
            # Both are exact doubles, so their quotient is the double nearest to the decimal.
            fits = (
                (np.abs(whole) <= _EXACT_DOUBLE) & (whole / power == part)
            ) | np.isinf(part)
        places[open_[fits]] = k
        open_ = open_[~fits]
        if not len(open_):
            break
    return places


def whole_units(
    data: Floats,
    integer_entry: Bools,
    row_of_entry: NDArray[np.int32],
    row_lower: Floats,
    row_upper: Floats,
) -> Floats:
    """Return (m,) the unit that divides every activity and both sides of a row; 0.0 without one.

    integer_entry: (nnz,) True for entries of integer columns.

    Shapes: data and row_of_entry (nnz,), sides (m,).
    """
    m = len(row_lower)
    mixed = np.bincount(row_of_entry, weights=~integer_entry, minlength=m) > 0
    sides = (
        np.column_stack([decimal_places(row_lower), decimal_places(row_upper)])
        if m
        else np.zeros((0, 2), np.int64)
    )
    most = sides.max(axis=1, initial=0)
    none = mixed | (sides.min(axis=1, initial=0) < 0)
    candidates = np.flatnonzero(~none[row_of_entry])
    of_entries = decimal_places(data[candidates])
    rows = row_of_entry[candidates]
    np.maximum.at(most, rows, of_entries)
    none |= np.bincount(rows, weights=of_entries < 0, minlength=m) > 0
    return np.where(none, 0.0, 10.0 ** -most.astype(np.float64))

"""Units of rows and variables, to which tolerances are relative, and rows without tolerance.

The usual tolerance, 1e-6 · max(1, |side|), exceeds a row whose coefficients are 1e-10. So the unit
of a row is the size of its largest term if that is below 1e-3, its largest term over 1e9 if that is
above 1e9 (doubles hold no more digits), and 1 in between. Terms are measured at the size that the
bounds and rows of the variable suggest, at most 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from solvers.exact.model import ExactModel

SMALL_UNIT, LARGE_UNIT = 1e-3, 1e9
# `solvers.whole_rows` applies the same rule to doubles.
_PLACES, _SMALL_PLACES, _SMALL = 9, 22, 10**9
_ROUNDS = 6


@dataclass(frozen=True, kw_only=True)
class Units:
    """Units of a model."""

    whole: bytearray  # (m,) 1 for rows without tolerance
    rows: dict[int, Fraction]  # those that are not 1
    columns: dict[int, Fraction]  # those that are not 1


def units_of(model: ExactModel) -> Units:
    """Compute the units of rows and columns.

    Sizes are doubles: a unit must be reproducible, not exact.
    """
    sizes = [_size(value) for value in model.values]
    columns = _column_sizes(model, sizes)
    rows: dict[int, Fraction] = {}
    if columns or any(not SMALL_UNIT <= size <= LARGE_UNIT for size in sizes):
        most = [0.0] * model.m
        for row, column, value in zip(
            model.entry_row, model.entry_col, model.entry_value, strict=True
        ):
            term = sizes[value] * columns.get(column, 1.0)
            if term > most[row]:
                most[row] = term
        for row, size in enumerate(most):
            if 0 < size < SMALL_UNIT:
                rows[row] = Fraction(size)
            elif size > LARGE_UNIT:
                rows[row] = Fraction(size / LARGE_UNIT)
    small = {column: Fraction(size) for column, size in columns.items()}
    return Units(whole=_whole_rows(model), rows=rows, columns=small)


def is_whole(value: Fraction) -> bool:
    """Return True for short decimals.

    These have at most nine places, or at most nine significant digits and 22 places.
    """
    denominator: int = value.denominator
    if denominator == 1:
        return True
    power: int = 10**_PLACES
    if power % denominator == 0:
        return True
    for _ in range(_PLACES, _SMALL_PLACES):
        power *= 10
        if power % denominator == 0:
            return bool(abs(value) * power < _SMALL)
    return False


def _whole_rows(model: ExactModel) -> bytearray:
    """Return (m,) 1 for rows of integer variables whose numbers are short decimals."""
    whole = bytearray(b"\x01") * model.m
    whole_value = bytes(is_whole(value) for value in model.values)
    integer = model.integer
    if not (all(whole_value) and all(integer)):
        for row, column, value in zip(
            model.entry_row, model.entry_col, model.entry_value, strict=True
        ):
            if not (integer[column] and whole_value[value]):
                whole[row] = 0
    for row, sides in enumerate(zip(model.row_lower, model.row_upper, strict=True)):
        if whole[row] and not all(side is None or is_whole(side) for side in sides):
            whole[row] = 0
    for row, products in model.row_products.items():
        integers = all(integer[i] and integer[j] for i, j in products)
        if not (integers and all(is_whole(value) for value in products.values())):
            whole[row] = 0
    return whole


def _column_sizes(model: ExactModel, sizes: list[float]) -> dict[int, float]:
    """Return the sizes of columns whose values are small by their bounds and rows."""
    size, most = [1.0] * model.n, [1.0] * model.n
    for column, (integer, lower, upper) in enumerate(
        zip(model.integer, model.lower, model.upper, strict=True)
    ):
        if not integer:
            size[column] = min(1.0, max(_size(lower), _size(upper)))
            if size[column] and lower is not None and upper is not None:
                most[column] = size[column]
    for products in (model.objective_products, *model.row_products.values()):
        for pair in products:  # the size of a product depends on both columns
            size[pair[0]] = size[pair[1]] = 1.0
    special = model.indicators.keys() | model.row_products.keys()
    if special:
        for row, column in zip(model.entry_row, model.entry_col, strict=True):
            if row in special:
                size[column] = 1.0
    sides = [
        max(_size(lower), _size(upper))
        for lower, upper in zip(model.row_lower, model.row_upper, strict=True)
    ]
    for _ in range(_ROUNDS):
        if min(size, default=1.0) >= SMALL_UNIT:
            return {}
        reach = list(sides)
        for row, column, value in zip(
            model.entry_row, model.entry_col, model.entry_value, strict=True
        ):
            term = sizes[value] * size[column]
            if term > reach[row]:
                reach[row] = term
        changed = False
        for row, column, value in zip(
            model.entry_row, model.entry_col, model.entry_value, strict=True
        ):
            if size[column] < SMALL_UNIT and sizes[value]:
                suggested = min(reach[row] / sizes[value], most[column])
                if suggested > size[column]:
                    size[column], changed = suggested, True
        if not changed:
            break
    return {column: each for column, each in enumerate(size) if 0 < each < SMALL_UNIT}


def _size(value: Fraction | None) -> float:
    """Return |value| as a double; 0 for an absent one."""
    try:
        return 0.0 if value is None else abs(float(value))
    except OverflowError:
        return math.inf

"""Exact scaling by powers of two, before any solver reads a model.

Solvers work with absolute tolerances (1e-6 on rows, 1e-7 on reduced costs) and drop coefficients
below 1e-9: objectives in farads or rows in units of 1e-10 are noise to them. Here the objective,
rows and continuous columns whose numbers are far from 1 are multiplied by powers of two, so nothing
is rounded; a model of ordinary numbers is unchanged.

- A continuous column is scaled when its bounds, sides and neighbours are far below 1, or when its
  coefficients are small beside the others of every row it is in.
- A row is scaled towards a geometric mean of 1 when a coefficient is below 1e-4, or when its
  largest is below 1e-3 or above 1e9. Rows with coefficients of 1 and less are never scaled down:
  that would loosen their tolerance.
- Integer columns are not scaled.

Some spreads cannot be scaled away, such as 1e-12 and 1 on two integer columns of one row. `doubt`
names them, and the proof of a floating-point engine is not enough then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from solvers.extras import Extras, QuadraticForm
from solvers.types import Floats, MilpModel

_SMALL_COLUMN = 2.0**-10
_ROUNDS = 6  # of passing magnitudes from column to column through rows
_SMALL_COEFFICIENT, _SMALL_ROW, _LARGE_ROW = 1e-4, 1e-3, 1e9
_SMALL_COST, _LARGE_COST, _MOST_COST = 1e-2, 1e7, 1e10
_LOST = 1e-7  # scaled coefficients and costs below this are near what engines drop or take for 0
# Within a row. From 3e9 on, SCIP 10's presolve has proved wrong optima (`workers.bench fuzz ilp
# --seed 6`, cases 334 and 534).
_SPREAD = 1e9
_DROPPED = 1e-9  # SCIP's epsilon
# Sides, bounds and coefficients from here on leave no digits for the tolerance.
_HUGE = 1e13


@dataclass(frozen=True, kw_only=True, eq=False)
class ScaledModel:
    """A model and its scaled form: x of the original = x of `model` · columns."""

    original: MilpModel
    model: MilpModel
    columns: Floats  # (n,) powers of two; 1 for integer columns
    doubt: (
        str  # reason why a floating-point proof is not enough; empty for ordinary numbers
    )

    def restore(self, x: Floats) -> Floats:
        """Convert a point (n,) of the scaled model to the original's units."""
        return x * self.columns

    def enter(self, x: Floats) -> Floats:
        """Convert a point (n,) of the original to the scaled model's units; NaN stays."""
        return x / self.columns


def scale(model: MilpModel) -> ScaledModel:
    """Scale objective, rows and continuous columns by powers of two. Nothing is rounded."""
    columns = _column_factors(model)
    data = model.data * columns[model.indices]
    rows = _row_factors(model, data)
    costs = model.c * columns
    cost = _cost_factor(costs, model.extras)
    data = data * rows[model.row_of_entry]
    scaled = model
    if bool((columns != 1.0).any() or (rows != 1.0).any()) or cost != 1.0:
        scaled = replace(
            model,
            c=costs * cost,
            offset=model.offset * cost,
            col_lower=model.col_lower / columns,
            col_upper=model.col_upper / columns,
            data=data,
            row_lower=model.row_lower * rows,
            row_upper=model.row_upper * rows,
            extras=None
            if model.extras is None
            else _scaled_extras(model.extras, columns, cost),
            cost_factor=cost,
            row_factors=rows,
        )
    return ScaledModel(
        original=model, model=scaled, columns=columns, doubt=_doubt(scaled)
    )


def row_scale(data: Floats, row_of_entry: np.ndarray, m: int) -> tuple[Floats, Floats]:
    """Return the smallest and largest absolute nonzero coefficient of each row, (m,) each.

    (inf, 0) for empty rows.
    """
    size = np.abs(data)
    smallest, largest = np.full(m, np.inf), np.zeros(m)
    there = size > 0
    np.minimum.at(smallest, row_of_entry[there], size[there])
    np.maximum.at(largest, row_of_entry[there], size[there])
    return smallest, largest


def column_magnitudes(model: MilpModel) -> Floats:
    """Return (n,) the size of each column's values, at most 1, by bounds, sides and neighbours.

    1 for integer columns, and for columns without any indication.
    """
    bound = np.where(model.integrality, 1.0, 0.0)
    for sides in (model.col_lower, model.col_upper):
        bound = np.maximum(bound, np.where(np.isfinite(sides), np.abs(sides), 0.0))
    boxed = np.isfinite(model.col_lower) & np.isfinite(model.col_upper)
    most = np.where(boxed & (bound > 0), np.minimum(bound, 1.0), 1.0)
    size = np.minimum(bound, 1.0)
    if model.extras is not None:
        size[_in_products(model.extras, model.n)] = 1.0
    if bool((size >= _SMALL_COLUMN).all()):
        return np.ones(model.n)
    side = np.zeros(model.m)
    for sides in (model.row_lower, model.row_upper):
        side = np.maximum(side, np.where(np.isfinite(sides), np.abs(sides), 0.0))
    entries = np.flatnonzero(model.data)
    row, column, data = (
        model.row_of_entry[entries],
        model.indices[entries],
        np.abs(model.data[entries]),
    )
    for _ in range(_ROUNDS):
        reach = side.copy()  # the most that a term of the row may be
        np.maximum.at(reach, row, data * size[column])
        with np.errstate(over="ignore"):
            suggested = np.minimum(reach[row] / data, most[column])
        before = size.copy()
        np.maximum.at(size, column, suggested)
        if bool((size == before).all()):
            break
    return np.where(size > 0, size, 1.0)


def _column_factors(model: MilpModel) -> Floats:
    size = column_magnitudes(model)
    small = np.where(size < _SMALL_COLUMN, _power_of_two(size), 1.0)
    return np.where(small < 1.0, small, _large_columns(model, small))


def _large_columns(model: MilpModel, columns: Floats) -> Floats:
    """Return (n,) factors of continuous columns with small coefficients in every row.

    For example watts among gigawatts. A factor is at most the smallest nonzero bound, which must
    not fall below the tolerance.
    """
    share = np.zeros(model.n)
    size = np.abs(model.data) * columns[model.indices]
    _, largest = row_scale(size, model.row_of_entry, model.m)
    there = np.flatnonzero(size)
    row, column = model.row_of_entry[there], model.indices[there]
    np.maximum.at(share, column, size[there] / largest[row])
    most = np.full(model.n, np.inf)
    sides = [model.col_lower, model.col_upper]
    fixed = model.integrality.copy()
    if model.extras is not None:
        semi = {part.column: part for part in model.extras.semi}
        sides += [np.array([semi[j].lower if j in semi else 0.0 for j in range(model.n)])]
        fixed |= _in_products(model.extras, model.n)
    for each in sides:
        bound = np.abs(each)
        most = np.where(np.isfinite(bound) & (bound > 0), np.minimum(most, bound), most)
    off = ~fixed & (share > 0) & (share < _SMALL_COLUMN) & (most > 1.0)
    factor = np.minimum(1.0 / np.where(off, share, 1.0), np.where(off, most, 1.0))
    return np.where(off, _power_of_two(factor), 1.0)


def _in_products(extras: Extras, n: int) -> np.ndarray:
    """Return (n,) True for columns in products and special rows.

    The size of a product depends on both of its columns.
    """
    there = np.zeros(n, dtype=bool)
    for form in (extras.objective, *(row.quadratic for row in extras.rows)):
        if form is not None:
            there[form.first] = there[form.second] = True
    for special in extras.rows:
        there[special.columns] = True
    return there


def _row_factors(model: MilpModel, data: Floats) -> Floats:
    smallest, largest = row_scale(data, model.row_of_entry, model.m)
    off = (largest > 0) & (
        (smallest < _SMALL_COEFFICIENT) | (largest < _SMALL_ROW) | (largest > _LARGE_ROW)
    )
    small, large = np.where(off, smallest, 1.0), np.where(off, largest, 1.0)
    factor = np.maximum(
        1.0 / (np.sqrt(small) * np.sqrt(large)), np.minimum(1.0, 1.0 / small)
    )
    return np.where(off, _power_of_two(factor), 1.0)


def _cost_factor(costs: Floats, extras: Extras | None) -> float:
    form: QuadraticForm | None = extras.objective if extras is not None else None
    sizes = np.abs(costs if form is None else np.concatenate([costs, form.values]))
    sizes = sizes[sizes > 0]
    if not len(sizes):
        return 1.0
    smallest, largest = float(sizes.min()), float(sizes.max())
    if smallest >= _SMALL_COST and largest <= _LARGE_COST:
        return 1.0
    factor = max(
        1.0 / (math.sqrt(smallest) * math.sqrt(largest)),
        min(1.0 / smallest, 1e4 / largest),
    )
    return float(_power_of_two(np.array([min(factor, _MOST_COST / largest)]))[0])


def _scaled_extras(extras: Extras, columns: Floats, cost: float) -> Extras:
    """Return the extras of the scaled model.

    Columns in products and special rows have the factor 1, so only two parts change.
    """
    form = extras.objective
    return replace(
        extras,
        objective=None if form is None else replace(form, values=form.values * cost),
        semi=tuple(
            replace(
                part,
                lower=part.lower / float(columns[part.column]),
                upper=part.upper / float(columns[part.column]),
            )
            for part in extras.semi
        ),
    )


def _doubt(model: MilpModel) -> str:
    """Return the first reason to mistrust a floating-point proof on the scaled model."""
    reach = np.maximum(np.abs(model.col_lower), np.abs(model.col_upper))  # (n,)
    side = np.ones(model.m)
    for sides in (model.row_lower, model.row_upper):
        side = np.maximum(side, np.where(np.isfinite(sides), np.abs(sides), 0.0))
    size = np.abs(model.data)
    matters = size * reach[model.indices] > _LOST * side[model.row_of_entry]
    lost = model.row_of_entry[(size > 0) & (size < _LOST) & matters]
    seen = np.where(size < _DROPPED, 0.0, model.data)  # engines drop smaller ones
    smallest, largest_of_row = row_scale(seen, model.row_of_entry, model.m)
    apart = np.flatnonzero(largest_of_row > _SPREAD * smallest)
    for rows in (lost, apart):
        if len(rows):
            name = model.row_name(int(rows[0]))
            return f"the coefficients of row {name!r} are too far apart for floating-point engines"
    costs = np.abs(model.c[model.c != 0])
    if len(costs) and (
        float(costs.min()) < _LOST or float(costs.max()) > _MOST_COST * 1.01
    ):
        return "the costs are too far apart for floating-point engines"
    for what, values in (
        ("coefficient", size),
        ("bound", model.col_lower),
        ("bound", model.col_upper),
        ("side of a row", model.row_lower),
        ("side of a row", model.row_upper),
    ):
        largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
        if largest > _HUGE:
            return (
                f"a {what} of {largest:.3g} after scaling is too large for the tolerances "
                "of floating-point engines"
            )
    return ""


def _power_of_two(values: Floats) -> Floats:
    """Return the nearest powers of two of positive numbers.

    Within 2^±400, so that products of two stay doubles.
    """
    exponent = np.rint(np.log2(values)).astype(np.int64)
    return np.ldexp(1.0, np.clip(exponent, -400, 400))

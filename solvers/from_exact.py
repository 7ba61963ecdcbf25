"""Conversion of an exact model to doubles.

For files that HiGHS cannot read or does not read whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from solvers.exact import ExactModel
from solvers.exact.model import ExactSet, Products
from solvers.extras import (
    Extras,
    Floats,
    Ints,
    OrderedSet,
    QuadraticForm,
    SemiColumn,
    SpecialRow,
)
from solvers.types import MilpModel


def from_exact(exact: ExactModel) -> MilpModel:
    """Convert an exact model to the nearest doubles."""
    sign = -1 if exact.maximize else 1
    costs = np.zeros(exact.n)
    for column, cost in exact.objective.items():
        costs[column] = sign * _double(cost)
    lower, upper = _sides(exact.lower, -math.inf), _sides(exact.upper, math.inf)
    semi = _semi_columns(exact, lower, upper)
    for part in semi:
        lower[part.column], upper[part.column] = (
            min(0.0, part.lower),
            max(0.0, part.upper),
        )
    rows, columns, data = _entries(exact)
    row_lower = _sides(exact.row_lower, -math.inf)
    row_upper = _sides(exact.row_upper, math.inf)
    special = sorted({*exact.row_products, *exact.indicators})
    linear = np.ones(exact.m, dtype=bool)
    linear[special] = False
    begins = np.searchsorted(rows, np.arange(exact.m + 1))

    def special_row(row: int) -> SpecialRow:
        entries = slice(begins[row], begins[row + 1])
        binary, active_at = exact.indicators.get(row, (None, 1))
        products = exact.row_products.get(row)
        return SpecialRow(
            name=exact.row_names[row],
            columns=columns[entries],
            values=data[entries],
            lower=float(row_lower[row]),
            upper=float(row_upper[row]),
            quadratic=None if products is None else _form(products, 1),
            binary=binary,
            active_at=active_at,
        )

    extras = Extras(
        objective=_form(exact.objective_products, sign)
        if exact.objective_products
        else None,
        rows=tuple(special_row(row) for row in special),
        sets=tuple(map(_ordered_set, exact.sets)),
        semi=semi,
    )
    in_linear = linear[rows]
    counts = np.bincount(rows[in_linear], minlength=exact.m)[linear]
    return MilpModel(
        c=costs,
        offset=sign * _double(exact.offset),
        col_lower=lower,
        col_upper=upper,
        integrality=np.frombuffer(bytes(exact.integer), dtype=np.uint8) == 1,
        indptr=np.concatenate(([0], np.cumsum(counts))).astype(np.int32),
        indices=columns[in_linear],
        data=data[in_linear],
        row_lower=row_lower[linear],
        row_upper=row_upper[linear],
        maximize=exact.maximize,
        col_names=exact.col_names,
        row_names=tuple(exact.row_names[row] for row in np.flatnonzero(linear).tolist()),
        name=exact.name,
        extras=extras if extras.words else None,
    )


def _semi_columns(
    exact: ExactModel, lower: Floats, upper: Floats
) -> tuple[SemiColumn, ...]:
    """Return the semi-continuous columns whose bounds exclude 0; others are plain columns."""
    return tuple(
        SemiColumn(column=column, lower=float(lower[column]), upper=float(upper[column]))
        for column in sorted(exact.semicontinuous)
        if not lower[column] <= 0 <= upper[column]
    )


def _ordered_set(one: ExactSet) -> OrderedSet:
    return OrderedSet(
        name=one.name,
        kind=one.kind,
        columns=np.array(one.columns, dtype=np.int32),
        weights=np.array([_double(weight) for weight in one.weights]),
    )


def _entries(exact: ExactModel) -> tuple[Ints, Ints, Floats]:
    """Return row, column and value of each coefficient, ordered by row."""
    if not exact.nnz:
        return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32), np.zeros(0)
    values = np.array([_double(value) for value in exact.values])
    rows = np.frombuffer(exact.entry_row, dtype=np.int32)
    columns = np.frombuffer(exact.entry_col, dtype=np.int32)
    data = values[np.frombuffer(exact.entry_value, dtype=np.int32)]
    nonzero = np.flatnonzero(data)
    order = nonzero[np.argsort(rows[nonzero], kind="stable")]
    return rows[order], columns[order], data[order]


def _form(products: Products, sign: int) -> QuadraticForm:
    return QuadraticForm(
        first=np.array([i for i, _ in products], dtype=np.int32),
        second=np.array([j for _, j in products], dtype=np.int32),
        values=np.array([sign * _double(value) for value in products.values()]),
    )


def _sides(values: Sequence[Fraction | None], absent: float) -> Floats:
    return np.array(
        [absent if value is None else _double(value) for value in values],
        dtype=np.float64,
    )


def _double(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf

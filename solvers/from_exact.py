"""A model for the solvers out of the exact reading, for files that HiGHS cannot read or does not read whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from solvers.exact import ExactModel
from solvers.exact.model import Products
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
    """The nearest doubles of everything."""
    sign = -1 if exact.maximize else 1
    costs = np.zeros(exact.n)
    for column, cost in exact.objective.items():
        costs[column] = sign * _double(cost)
    lower, upper = _sides(exact.lower, -math.inf), _sides(exact.upper, math.inf)
    semi = tuple(
        SemiColumn(column=column, lower=float(lower[column]), upper=float(upper[column]))
        for column in sorted(exact.semicontinuous)
        if not lower[column]
        <= 0
        <= upper[column]  # otherwise 0 is within the bounds, and the word says nothing
    )
    for part in semi:
        lower[part.column], upper[part.column] = min(0.0, part.lower), max(0.0, part.upper)
    rows, columns, data = _entries(exact)
    row_lower, row_upper = (
        _sides(exact.row_lower, -math.inf),
        _sides(exact.row_upper, math.inf),
    )
    special = sorted({*exact.row_products, *exact.indicators})
    kept = np.ones(exact.m, dtype=bool)
    kept[special] = False
    begins = np.searchsorted(rows, np.arange(exact.m + 1))
    extras = Extras(
        objective=_form(exact.objective_products, sign)
        if exact.objective_products
        else None,
        rows=tuple(
            SpecialRow(
                name=exact.row_names[row],
                columns=columns[begins[row] : begins[row + 1]],
                values=data[begins[row] : begins[row + 1]],
                lower=float(row_lower[row]),
                upper=float(row_upper[row]),
                quadratic=_form(exact.row_products[row], 1)
                if row in exact.row_products
                else None,
                binary=exact.indicators[row][0] if row in exact.indicators else None,
                awake_at=exact.indicators[row][1] if row in exact.indicators else 1,
            )
            for row in special
        ),
        sets=tuple(
            OrderedSet(
                name=one.name,
                kind=one.kind,
                columns=np.array(one.columns, dtype=np.int32),
                weights=np.array([_double(weight) for weight in one.weights]),
            )
            for one in exact.sets
        ),
        semi=semi,
    )
    in_linear = kept[rows]
    counts = (
        np.bincount(rows[in_linear], minlength=exact.m)[kept]
        if exact.m
        else np.zeros(0, dtype=np.int64)
    )
    return MilpModel(
        c=costs,
        offset=sign * _double(exact.offset),
        col_lower=lower,
        col_upper=upper,
        integrality=np.frombuffer(bytes(exact.integer), dtype=np.uint8) == 1,
        indptr=np.concatenate(([0], np.cumsum(counts))).astype(np.int32),
        indices=columns[in_linear],
        data=data[in_linear],
        row_lower=row_lower[kept],
        row_upper=row_upper[kept],
        maximize=exact.maximize,
        col_names=exact.col_names,
        row_names=tuple(
            name
            for name, linear in zip(exact.row_names, kept.tolist(), strict=True)
            if linear
        ),
        name=exact.name,
        extras=extras if extras.words else None,
    )


def _entries(exact: ExactModel) -> tuple[Ints, Ints, Floats]:
    """Row, column and value of each coefficient, by row."""
    if not exact.nnz:
        return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32), np.zeros(0)
    values = np.array([_double(value) for value in exact.values])
    rows = np.frombuffer(exact.entry_row, dtype=np.int32)
    columns = np.frombuffer(exact.entry_col, dtype=np.int32)
    data = values[np.frombuffer(exact.entry_value, dtype=np.int32)]
    kept = np.flatnonzero(data)
    order = kept[np.argsort(rows[kept], kind="stable")]
    return rows[order], columns[order], data[order]


def _form(products: Products, sign: int) -> QuadraticForm:
    return QuadraticForm(
        first=np.array([i for i, _ in products], dtype=np.int32),
        second=np.array([j for _, j in products], dtype=np.int32),
        values=np.array([sign * _double(value) for value in products.values()]),
    )


def _sides(values: Sequence[Fraction | None], absent: float) -> Floats:
    return np.array(
        [absent if value is None else _double(value) for value in values], dtype=np.float64
    )


def _double(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf

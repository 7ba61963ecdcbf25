"""Rows that keep a model apart from points, by its integer columns.

At least so many integer columns differ from a point. A binary column contributes x or 1 - x; a
general integer two indicator columns, for above and below.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from solvers.types import Bools, Floats, MilpModel


def apart(
    model: MilpModel,
    points: Iterable[Floats],
    bounds: tuple[Floats, Floats],
    least: int,
) -> MilpModel:
    """Return the model with rows: at least `least` integer columns differ from each point (n,).

    bounds: (n,), (n,) of the columns that are told apart, the first ones of the model. Columns
    after them, such as the indicators of earlier calls, are ignored; new indicators come last.
    """
    own = len(bounds[0])
    integer = model.integrality[:own]
    binary = integer & (model.col_lower[:own] == 0) & (model.col_upper[:own] == 1)
    rows = _Rows(columns=model.n)
    for point in points:
        _add_point(rows, np.rint(point), (binary, integer & ~binary), bounds, least)
    new = rows.columns - model.n
    factors = model.row_factors
    return replace(
        model,
        c=np.concatenate([model.c, np.zeros(new)]),
        col_lower=np.concatenate([model.col_lower, np.zeros(new)]),
        col_upper=np.concatenate([model.col_upper, np.ones(new)]),
        integrality=np.concatenate([model.integrality, np.ones(new, dtype=bool)]),
        indptr=np.concatenate([model.indptr, model.nnz + np.cumsum(rows.sizes)]),
        indices=np.concatenate([model.indices, rows.indices]),
        data=np.concatenate([model.data, rows.data]),
        row_lower=np.concatenate([model.row_lower, rows.lower]),
        row_upper=np.concatenate([model.row_upper, rows.upper]),
        col_names=None,
        row_names=None,
        row_factors=None
        if factors is None
        else np.concatenate([factors, np.ones(len(rows.sizes))]),
    )


@dataclass(kw_only=True)
class _Rows:
    """Rows under construction, in the form of a sparse matrix by rows."""

    columns: int  # of the matrix; indicators are added at its end
    sizes: list[int] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    data: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)

    def add_indicator(self) -> int:
        """Add a column and return its place."""
        self.columns += 1
        return self.columns - 1

    def add(self, terms: Mapping[int, float], lower: float, upper: float) -> None:
        """Add the row lower ≤ terms ≤ upper; columns of the terms are ascending."""
        self.sizes.append(len(terms))
        self.indices += terms.keys()
        self.data += terms.values()
        self.lower.append(lower)
        self.upper.append(upper)


def _add_point(
    rows: _Rows,
    point: Floats,
    kinds: tuple[Bools, Bools],
    bounds: tuple[Floats, Floats],
    least: int,
) -> None:
    """Add the rows for one point (n,) of whole values. kinds: (n,), (n,) binary and general."""
    binary, general = (np.flatnonzero(kind).tolist() for kind in kinds)
    at_one = [column for column in binary if point[column] > 0.5]
    differs = dict.fromkeys(binary, 1.0) | dict.fromkeys(at_one, -1.0)
    for column in general:
        value = float(point[column])
        low, high = float(bounds[0][column]), float(bounds[1][column])
        indicators = []
        if value < high:  # above: x ≥ value + 1 where the indicator is 1
            above = rows.add_indicator()
            rows.add({column: 1.0, above: low - value - 1.0}, low, math.inf)
            indicators.append(above)
        if value > low:  # below: x ≤ value - 1
            below = rows.add_indicator()
            rows.add({column: 1.0, below: high - value + 1.0}, -math.inf, high)
            indicators.append(below)
        if len(indicators) == 2:
            rows.add(dict.fromkeys(indicators, 1.0), -math.inf, 1.0)
        differs |= dict.fromkeys(indicators, 1.0)
    rows.add(differs, float(least - len(at_one)), math.inf)

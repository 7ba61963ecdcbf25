"""Small models for the solvers' tests, and the plain way to solve them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from solvers.types import MilpModel

INF = math.inf


def milp(
    c: Sequence[float],
    rows: Sequence[tuple[Sequence[float], float, float]] = (),
    *,
    lower: Sequence[float] | None = None,
    upper: Sequence[float] | None = None,
    integer: Sequence[bool] | bool = True,
    keep_zeros: bool = False,
    **more: Any,
) -> MilpModel:
    """min c·x over dense rows (coefficients, low, high). Bounds default to [0, 1]."""
    n = len(c)
    indptr, indices, data = [0], [], []
    for coefficients, _low, _high in rows:
        for column, value in enumerate(coefficients):
            if value or keep_zeros:
                indices.append(column)
                data.append(value)
        indptr.append(len(indices))
    return MilpModel(
        c=np.array(c, dtype=float),
        col_lower=np.array(lower if lower is not None else [0.0] * n, dtype=float),
        col_upper=np.array(upper if upper is not None else [1.0] * n, dtype=float),
        integrality=np.full(n, integer)
        if isinstance(integer, bool)
        else np.array(integer, dtype=bool),
        indptr=np.array(indptr, dtype=np.int32),
        indices=np.array(indices, dtype=np.int32),
        data=np.array(data, dtype=float),
        row_lower=np.array([low for _, low, _ in rows], dtype=float),
        row_upper=np.array([high for _, _, high in rows], dtype=float),
        **more,
    )


def set_cover(
    rows: int, columns: int, *, density: float = 0.05, seed: int = 0
) -> MilpModel:
    """Random set cover, every row with the same number of columns."""
    rng = np.random.default_rng(seed)
    per_row = max(2, int(columns * density))
    members = np.concatenate(
        [np.sort(rng.choice(columns, per_row, replace=False)) for _ in range(rows)]
    )
    return MilpModel(
        c=rng.integers(1, 101, columns).astype(float),
        col_lower=np.zeros(columns),
        col_upper=np.ones(columns),
        integrality=np.ones(columns, dtype=bool),
        indptr=np.arange(rows + 1, dtype=np.int32) * per_row,
        indices=members.astype(np.int32),
        data=np.ones(len(members)),
        row_lower=np.ones(rows),
        row_upper=np.full(rows, INF),
    )


def brute_force(model: MilpModel) -> tuple[float, np.ndarray] | None:
    """The best integer point of a small box, by looking at all of them. None when there is none."""
    spans = [
        range(math.ceil(low), math.floor(high) + 1)
        for low, high in zip(model.col_lower, model.col_upper, strict=True)
    ]
    assert math.prod(len(span) for span in spans) <= 20_000
    best: tuple[float, np.ndarray] | None = None
    for point in itertools.product(*spans):
        x = np.array(point, dtype=float)
        activity = model.activity(x)
        if np.any(activity < model.row_lower - 1e-9) or np.any(
            activity > model.row_upper + 1e-9
        ):
            continue
        value = model.objective(x)
        if best is None or value < best[0]:
            best = value, x
    return best

"""Feasibility jump (Luteberget and Sartor 2023): a start heuristic for models of any shape.

Every row has a weight. A variable jumps to the value that lowers the weighted violation most; if
none does, the row's weight is increased and the least harmful jump is taken.
"""

from __future__ import annotations

import time

import numpy as np
from scipy import sparse

from solvers.types import Floats, MilpModel

_EPS = 1e-9
_BIG = 1e6  # stands for an absent bound
_STEPS = 50  # jumps between two looks at the clock
_MOST_VARIABLES = 8  # of a broken row, drawn for one jump
_MOST_VALUES = 64  # candidate values of one variable
_REFRESH = 5000  # steps after which activities are computed anew against rounding


def feasibility_jump(
    model: MilpModel,
    by_row: sparse.csr_matrix,
    by_column: sparse.csc_matrix,
    start: Floats,
    rng: np.random.Generator,
    until: float,
) -> Floats | None:
    """Return (n,) an integral point that satisfies every row; None at the deadline.

    The best jump of a variable is found exactly among the values at which one of its rows becomes
    satisfied.

    start: (n,) the first point, clipped to the bounds.
    until: deadline in processor time of this process.
    """
    low, high = _box(model)
    x = np.clip(np.where(model.integrality, np.rint(start), start), low, high)
    activity = by_row @ x
    weight = np.ones(model.m)
    tolerance = _tolerance(model)
    steps = 0
    while True:
        broken = np.flatnonzero(
            (activity > model.row_upper + tolerance)
            | (activity < model.row_lower - tolerance)
        )
        if not len(broken):
            return x
        for _ in range(_STEPS):
            steps += 1
            r = int(broken[rng.integers(len(broken))])
            if (
                model.row_lower[r] - tolerance[r]
                <= activity[r]
                <= model.row_upper[r] + tolerance[r]
            ):
                continue
            columns = by_row.indices[by_row.indptr[r] : by_row.indptr[r + 1]]
            if not len(columns):
                return None
            if len(columns) > _MOST_VARIABLES:
                columns = rng.choice(columns, size=_MOST_VARIABLES, replace=False)
            best_gain, best_j, best_value = -np.inf, -1, 0.0
            for j in columns.tolist():
                value, gain = _jump(
                    model, by_column, j, x[j], low[j], high[j], activity, weight
                )
                if value != x[j] and gain > best_gain:
                    best_gain, best_j, best_value = gain, j, value
            if best_gain <= _EPS:
                # A local minimum of the weighted violation: leave it by the least bad jump.
                weight[r] += 1.0
            if best_j < 0:
                continue
            span = slice(by_column.indptr[best_j], by_column.indptr[best_j + 1])
            activity[by_column.indices[span]] += by_column.data[span] * (
                best_value - x[best_j]
            )
            x[best_j] = best_value
        if time.process_time() > until:
            return None
        if steps % _REFRESH == 0:
            activity = by_row @ x


def _box(model: MilpModel) -> tuple[Floats, Floats]:
    """Return finite bounds, (n,) each."""
    low = np.where(
        np.isfinite(model.col_lower),
        model.col_lower,
        np.minimum(0.0, model.col_upper - 1),
    )
    low = np.where(np.isfinite(low), low, -_BIG)
    high = np.where(
        np.isfinite(model.col_upper), model.col_upper, np.maximum(low + 1, _BIG)
    )
    return low, high


def _tolerance(model: MilpModel) -> Floats:
    """Return (m,) absolute tolerances of the rows."""
    scale = np.maximum(
        1.0,
        np.abs(np.where(np.isfinite(model.row_lower), model.row_lower, model.row_upper)),
    )
    scale = np.where(np.isfinite(scale), scale, 1.0)
    return 1e-7 * scale


def _jump(
    model: MilpModel,
    by_column: sparse.csc_matrix,
    j: int,
    at: float,
    low: float,
    high: float,
    activity: Floats,
    weight: Floats,
) -> tuple[float, float]:
    """Return the best other value of variable j and the weighted violation it saves."""
    span = slice(by_column.indptr[j], by_column.indptr[j + 1])
    rows, data = by_column.indices[span], by_column.data[span]
    lower, upper = model.row_lower[rows], model.row_upper[rows]
    here, w = activity[rows], weight[rows]
    if model.integrality[j] and high - low <= 1:
        values = np.array([low + high - at])
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.concatenate([(lower - here) / data, (upper - here) / data]) + at
        ends = ends[np.isfinite(ends)]
        if model.integrality[j]:
            ends = np.concatenate([np.floor(ends + 1e-9), np.ceil(ends - 1e-9)])
        values = np.unique(np.clip(ends, low, high))
        values = values[values != at][:_MOST_VALUES]
    if not len(values):
        return at, 0.0
    now = w @ (np.maximum(0.0, here - upper) + np.maximum(0.0, lower - here))
    then = here[:, None] + data[:, None] * (values[None, :] - at)
    cost = w @ (
        np.maximum(0.0, then - upper[:, None]) + np.maximum(0.0, lower[:, None] - then)
    )
    best = int(np.argmin(cost))
    return float(values[best]), float(now - cost[best])

"""Start solutions for models of any shape: fix a variable, propagate, go on; and feasibility jump.

Fix-and-propagate (as Berthold and Hendel's shift-and-propagate, without backtracking but with repair of the value): variables
in an order, each to a preferred value within its current bounds; bounds are tightened over the rows it is in.
Feasibility jump (Luteberget and Sartor 2023): every row has a weight; a variable jumps to the value that lowers the weighted
violation most; where none lowers it, the row's weight grows and the least bad jump is taken.
"""

from __future__ import annotations

import time

import numpy as np
from scipy import sparse

from solvers.types import Floats, MilpModel

_EPS = 1e-9
_BIG = 1e6  # an absent bound, for a start


class Propagator:
    """Bounds under fixings. Rows are kept as least and largest activity."""

    def __init__(
        self, model: MilpModel, by_row: sparse.csr_matrix, by_column: sparse.csc_matrix
    ) -> None:
        self._model, self._rows, self._columns = model, by_row, by_column

    def dive(self, prefer: Floats, order: np.ndarray, until: float) -> Floats | None:
        """(n,) a point of the integer variables' box that propagation did not refute, or None. `prefer` (n,) values wanted."""
        model = self._model
        low = np.maximum(model.col_lower, -_BIG)
        high = np.minimum(model.col_upper, _BIG)
        positive, negative = np.maximum(self._rows.data, 0), np.minimum(self._rows.data, 0)
        entry_row = model.row_of_entry

        def reach(at_positive: Floats, at_negative: Floats) -> Floats:
            terms = (
                positive * at_positive[model.indices]
                + negative * at_negative[model.indices]
            )
            return np.bincount(entry_row, weights=terms, minlength=model.m).astype(
                np.float64
            )

        least, most = reach(low, high), reach(high, low)
        if bool(
            (least > model.row_upper + 1e-6).any() or (most < model.row_lower - 1e-6).any()
        ):
            return None
        for step, j in enumerate(order.tolist()):
            if step % 64 == 0 and time.process_time() > until:
                return None
            if high[j] - low[j] <= _EPS:
                continue
            wanted = min(max(np.rint(prefer[j]), low[j]), high[j])
            if self._fix(j, wanted, low, high, least, most):
                continue
            # The other end of what is left; when that does not do either, the dive has failed.
            other = low[j] if wanted > 0.5 * (low[j] + high[j]) else high[j]
            if other == wanted or not self._fix(j, other, low, high, least, most):
                return None
        return np.where(model.integrality, low, np.clip(prefer, low, high))

    def _fix(
        self, j: int, value: float, low: Floats, high: Floats, least: Floats, most: Floats
    ) -> bool:
        """Fix and propagate; undone when a row cannot be satisfied any more."""
        undo: list[tuple[int, float, float]] = []
        queue = [(j, value, value)]
        while queue:
            k, new_low, new_high = queue.pop()
            old_low, old_high = low[k], high[k]
            new_low, new_high = max(new_low, old_low), min(new_high, old_high)
            if new_low > new_high + _EPS:
                self._undo(undo, low, high, least, most)
                return False
            if new_low <= old_low + _EPS and new_high >= old_high - _EPS:
                continue
            undo.append((k, old_low, old_high))
            rows = self._move(k, new_low, new_high, low, high, least, most)
            model = self._model
            if bool(
                (
                    (least[rows] > model.row_upper[rows] + 1e-6)
                    | (most[rows] < model.row_lower[rows] - 1e-6)
                ).any()
            ):
                self._undo(undo, low, high, least, most)
                return False
            if len(undo) < 200:
                queue += self._implied(rows, low, high, least, most)
        return True

    def _move(
        self,
        k: int,
        new_low: float,
        new_high: float,
        low: Floats,
        high: Floats,
        least: Floats,
        most: Floats,
    ) -> np.ndarray:
        span = slice(self._columns.indptr[k], self._columns.indptr[k + 1])
        rows, data = self._columns.indices[span], self._columns.data[span]
        up, down = new_low - low[k], new_high - high[k]
        positive = data > 0
        least[rows] += np.where(positive, data * up, data * down)
        most[rows] += np.where(positive, data * down, data * up)
        low[k], high[k] = new_low, new_high
        moved: np.ndarray = rows
        return moved

    def _undo(
        self,
        undo: list[tuple[int, float, float]],
        low: Floats,
        high: Floats,
        least: Floats,
        most: Floats,
    ) -> None:
        for k, old_low, old_high in reversed(undo):
            self._move(k, old_low, old_high, low, high, least, most)

    def _implied(
        self, rows: np.ndarray, low: Floats, high: Floats, least: Floats, most: Floats
    ) -> list[tuple[int, float, float]]:
        """Bounds of binaries and integers that the rows now imply, a few rows a time."""
        model = self._model
        tight = rows[
            (model.row_upper[rows] - least[rows] < 1.0 + 1e-6 * np.abs(least[rows]))
            | (most[rows] - model.row_lower[rows] < 1.0 + 1e-6 * np.abs(most[rows]))
        ]
        found: list[tuple[int, float, float]] = []
        for r in tight[:50].tolist():
            span = slice(self._rows.indptr[r], self._rows.indptr[r + 1])
            columns, data = self._rows.indices[span], self._rows.data[span]
            open_ones = (high[columns] - low[columns] > _EPS) & model.integrality[columns]
            columns, data = columns[open_ones], data[open_ones]
            if not len(columns):
                continue
            size = np.abs(data) * (high[columns] - low[columns])
            over = (
                size > model.row_upper[r] - least[r] + 1e-6
            )  # moving all the way would break the upper side
            short = size > most[r] - model.row_lower[r] + 1e-6
            room_up = np.floor(
                np.maximum(0.0, model.row_upper[r] - least[r]) / np.abs(data) + 1e-6
            )
            room_down = np.floor(
                np.maximum(0.0, most[r] - model.row_lower[r]) / np.abs(data) + 1e-6
            )
            for i in np.flatnonzero(over).tolist():
                k = int(columns[i])
                found.append(
                    (k, low[k], low[k] + room_up[i])
                    if data[i] > 0
                    else (k, high[k] - room_up[i], high[k])
                )
            for i in np.flatnonzero(short).tolist():
                k = int(columns[i])
                found.append(
                    (k, high[k] - room_down[i], high[k])
                    if data[i] > 0
                    else (k, low[k], low[k] + room_down[i])
                )
        return found


def feasibility_jump(
    model: MilpModel,
    by_row: sparse.csr_matrix,
    by_column: sparse.csc_matrix,
    start: Floats,
    rng: np.random.Generator,
    until: float,
) -> Floats | None:
    """(n,) a point with every row satisfied, integers whole, or None when `until` (processor time of this process) comes first.

    The best jump of a variable is found exactly among the values at which one of its rows becomes satisfied.
    """
    low = np.where(
        np.isfinite(model.col_lower), model.col_lower, np.minimum(0.0, model.col_upper - 1)
    )
    low = np.where(np.isfinite(low), low, -_BIG)
    high = np.where(
        np.isfinite(model.col_upper), model.col_upper, np.maximum(low + 1, _BIG)
    )
    x = np.clip(np.where(model.integrality, np.rint(start), start), low, high)
    activity = by_row @ x
    weight = np.ones(model.m)
    scale = np.maximum(
        1.0,
        np.abs(np.where(np.isfinite(model.row_lower), model.row_lower, model.row_upper)),
    )
    scale = np.where(np.isfinite(scale), scale, 1.0)
    tolerance = 1e-7 * scale
    steps = 0
    while True:
        broken = np.flatnonzero(
            (activity > model.row_upper + tolerance)
            | (activity < model.row_lower - tolerance)
        )
        if not len(broken):
            return x
        for _ in range(50):
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
            picked = (
                columns if len(columns) <= 8 else rng.choice(columns, size=8, replace=False)
            )
            best_gain, best_j, best_value = -np.inf, -1, 0.0
            for j in picked.tolist():
                value, gain = _jump(
                    model, by_column, j, x[j], low[j], high[j], activity, weight
                )
                if value != x[j] and gain > best_gain:
                    best_gain, best_j, best_value = gain, j, value
            if best_gain <= _EPS:
                weight[r] += (
                    1.0  # a local minimum of the weighted violation: leave it by the least bad jump
                )
            if best_j < 0:
                continue
            span = slice(by_column.indptr[best_j], by_column.indptr[best_j + 1])
            activity[by_column.indices[span]] += by_column.data[span] * (
                best_value - x[best_j]
            )
            x[best_j] = best_value
        if time.process_time() > until:
            return None
        if steps % 5000 == 0:
            activity = by_row @ x


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
    """The best other value of variable j, and how much weighted violation it saves."""
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
        values = values[values != at][:64]
    if not len(values):
        return at, 0.0
    now = w @ (np.maximum(0.0, here - upper) + np.maximum(0.0, lower - here))
    then = here[:, None] + data[:, None] * (values[None, :] - at)
    cost = w @ (
        np.maximum(0.0, then - upper[:, None]) + np.maximum(0.0, lower[:, None] - then)
    )
    best = int(np.argmin(cost))
    return float(values[best]), float(now - cost[best])

"""Fix-and-propagate: start solutions for models of any shape.

Berthold and Hendel's shift-and-propagate (2015) without backtracking, but with repair of the value.
Variables are fixed in an order, each to a preferred value within its current bounds; the bounds of
the others are tightened over the rows of the fixed one.
"""

from __future__ import annotations

import time

import numpy as np
from scipy import sparse

from solvers.types import Floats, MilpModel

_EPS = 1e-9
_BIG = 1e6  # stands for an absent bound
_MOST_CHANGES = 200  # bounds tightened after one fixing before propagation ends
_MOST_ROWS = 50  # tight rows looked at after one change


class Propagator:
    """Tightens bounds under fixings; a row is held as its least and largest activity."""

    def __init__(
        self, model: MilpModel, by_row: sparse.csr_matrix, by_column: sparse.csc_matrix
    ) -> None:
        self._model, self._rows, self._columns = model, by_row, by_column

    def dive(self, prefer: Floats, order: np.ndarray, until: float) -> Floats | None:
        """Fix all variables one after the other; None when propagation refutes that.

        prefer: (n,) preferred values.
        order: variables in the order they are fixed.
        until: deadline in processor time of this process.

        Returns (n,) a point that propagation did not refute; it may still break rows.
        """
        model = self._model
        low = np.maximum(model.col_lower, -_BIG)
        high = np.minimum(model.col_upper, _BIG)
        positive, negative = (
            np.maximum(self._rows.data, 0),
            np.minimum(self._rows.data, 0),
        )
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
            (least > model.row_upper + 1e-6).any()
            or (most < model.row_lower - 1e-6).any()
        ):
            return None
        for step, j in enumerate(order.tolist()):
            if step % 64 == 0 and time.process_time() > until:
                return None
            if high[j] - low[j] <= _EPS:
                continue
            value = min(max(np.rint(prefer[j]), low[j]), high[j])
            if self._fix(j, value, low, high, least, most):
                continue
            # Repair: the farther end of the remaining range. If that fails too, the dive fails.
            other = low[j] if value > 0.5 * (low[j] + high[j]) else high[j]
            if other == value or not self._fix(j, other, low, high, least, most):
                return None
        return np.where(model.integrality, low, np.clip(prefer, low, high))

    def _fix(
        self, j: int, value: float, low: Floats, high: Floats, least: Floats, most: Floats
    ) -> bool:
        """Fix and propagate; undo and return False when a row cannot be satisfied any more."""
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
            if len(undo) < _MOST_CHANGES:
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
        """Return bounds of integer variables that the rows now imply."""
        model = self._model
        tight = rows[
            (model.row_upper[rows] - least[rows] < 1.0 + 1e-6 * np.abs(least[rows]))
            | (most[rows] - model.row_lower[rows] < 1.0 + 1e-6 * np.abs(most[rows]))
        ]
        implied: list[tuple[int, float, float]] = []
        for r in tight[:_MOST_ROWS].tolist():
            span = slice(self._rows.indptr[r], self._rows.indptr[r + 1])
            columns, data = self._rows.indices[span], self._rows.data[span]
            open_ones = (high[columns] - low[columns] > _EPS) & model.integrality[columns]
            columns, data = columns[open_ones], data[open_ones]
            if not len(columns):
                continue
            size = np.abs(data) * (high[columns] - low[columns])
            # Moving over the whole range would break the upper side, or the lower one.
            over = size > model.row_upper[r] - least[r] + 1e-6
            short = size > most[r] - model.row_lower[r] + 1e-6
            room_up = np.floor(
                np.maximum(0.0, model.row_upper[r] - least[r]) / np.abs(data) + 1e-6
            )
            room_down = np.floor(
                np.maximum(0.0, most[r] - model.row_lower[r]) / np.abs(data) + 1e-6
            )
            for i in np.flatnonzero(over).tolist():
                k = int(columns[i])
                implied.append(
                    (k, low[k], low[k] + room_up[i])
                    if data[i] > 0
                    else (k, high[k] - room_up[i], high[k])
                )
            for i in np.flatnonzero(short).tolist():
                k = int(columns[i])
                implied.append(
                    (k, high[k] - room_down[i], high[k])
                    if data[i] > 0
                    else (k, low[k], low[k] + room_down[i])
                )
        return implied

"""One-swap local search for set covers, without a solver.

A step exchanges one column for a cheaper one that covers the rows only the first covered, then
drops redundant columns. At a local optimum random columns are forced in and the search continues
from there. Packings, and covers whose rows have two entries, are searched by `search.lns.exchange`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy import sparse

from solvers.types import Floats, MilpModel
from trimtab.specs.ilp import Neighbourhood

_EPS = 1e-9
_REPORT_EVERY_S = 0.01
_ACCEPT_WORSE = 0.02  # probability


class OneSwap:
    """One-swap search on a set cover (rows of ones · x ≥ 1, costs ≥ 0)."""

    name = Neighbourhood.ONE_SWAP.value
    competes = True  # it takes turns with the arms

    def __init__(
        self, model: MilpModel, by_row: sparse.csr_matrix, by_column: sparse.csc_matrix
    ) -> None:
        self._model, self._rows, self._columns = model, by_row, by_column
        self._entry_column = np.repeat(np.arange(model.n), np.diff(by_column.indptr))

    def improve(
        self,
        x: Floats,
        seconds: float,
        rng: np.random.Generator,
        on_better: Callable[[Floats], None] = lambda x: None,
    ) -> Floats:
        """Return (n,) a feasible 0/1 solution no worse than `x`; report better ones on the way."""
        until = time.process_time() + seconds
        reports = _Reports(self._value, self._value(x > 0.5), on_better)
        # Steps of a descent are feasible. The first descent takes a tenth of a second on large
        # covers, too long to wait for its end.
        best = current = self._descend(x > 0.5, until, reports.offer)
        best_value = current_value = reports.best_value = self._value(current)
        while time.process_time() < until:
            trial = self._descend(self._kick(current, rng), until)
            value = self._value(trial)
            if value <= current_value + _EPS or rng.random() < _ACCEPT_WORSE:
                current, current_value = trial, value
            if value < best_value - _EPS:
                best = trial
                reports.offer(best)
                best_value = reports.best_value = value
        return best.astype(np.float64)

    def _value(self, taken: np.ndarray) -> float:
        return float(self._model.c[taken].sum())

    def _descend(
        self,
        taken: np.ndarray,
        until: float,
        on_step: Callable[[np.ndarray], None] = lambda taken: None,
    ) -> np.ndarray:
        taken = taken.copy()
        while self._step(taken) and time.process_time() < until:
            on_step(taken)
        return taken

    def _kick(self, taken: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        taken = taken.copy()
        outside = np.flatnonzero(~taken)
        taken[rng.choice(outside, size=min(2, len(outside)), replace=False)] = True
        self._drop_redundant(taken, rng)
        return taken

    def _rows_of(self, j: int) -> np.ndarray:
        rows: np.ndarray = self._columns.indices[
            self._columns.indptr[j] : self._columns.indptr[j + 1]
        ]
        return rows

    def _step(self, taken: np.ndarray) -> bool:
        """Drop redundant columns, then make the best exchange. Return False at a local optimum."""
        model = self._model
        self._drop_redundant(taken, None)
        inside = taken[self._entry_column]
        times = np.bincount(self._columns.indices[inside], minlength=model.m)
        alone = inside & (times[self._columns.indices] == 1)
        rows, owners = self._columns.indices[alone], self._entry_column[alone]
        need = np.bincount(owners, minlength=model.n)  # rows that only this column covers
        # Pairs (column inside, column that shares such a row), and the number of rows they share.
        part = self._rows[rows]
        entry_owner = np.repeat(owners, np.diff(part.indptr))
        pairs = entry_owner.astype(np.int64) * model.n + part.indices
        distinct, shared = np.unique(pairs, return_counts=True)
        old, new = distinct // model.n, distinct % model.n
        able = (shared == need[old]) & ~taken[new] & (model.c[new] < model.c[old] - _EPS)
        if not able.any():
            return False
        old, new = old[able], new[able]
        best = int(np.argmax(model.c[old] - model.c[new]))
        taken[old[best]], taken[new[best]] = False, True
        return True

    def _drop_redundant(self, taken: np.ndarray, rng: np.random.Generator | None) -> None:
        """Drop columns whose rows others cover: most expensive first, or at random with `rng`."""
        inside = taken[self._entry_column]
        times = np.bincount(self._columns.indices[inside], minlength=self._model.m)
        members = np.flatnonzero(taken)
        cost = self._model.c[members]
        if rng is not None:
            cost = cost * rng.random(len(members))
        order = members[np.argsort(-cost, kind="stable")]
        for j in order.tolist():
            rows = self._rows_of(j)
            if (times[rows] > 1).all() and self._model.c[j] >= 0:
                taken[j] = False
                times[rows] -= 1


class _Reports:
    """Reports of better solutions, at most one per `_REPORT_EVERY_S`."""

    def __init__(
        self,
        value: Callable[[np.ndarray], float],
        best_value: float,
        on_better: Callable[[Floats], None],
    ) -> None:
        self._value, self._on_better = value, on_better
        self.best_value = best_value
        self._last_s = time.process_time()

    def offer(self, taken: np.ndarray) -> None:
        """Report `taken` if it is better and the last report is long enough ago."""
        now = time.process_time()
        if now - self._last_s <= _REPORT_EVERY_S:
            return
        value = self._value(taken)
        if value < self.best_value - _EPS:
            self._last_s, self.best_value = now, value
            self._on_better(taken.astype(np.float64))

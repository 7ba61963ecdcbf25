"""One-swap local search for pure covers and packings: no solver, thousands of moves a second.

Cover (rows a·x ≥ 1, all ones): take out one column and put in a cheaper one that covers what only the first did, then drop what
has become redundant. Packing (rows a·x ≤ 1, all ones): take out one column and put in those that only it kept out, when they
are worth more (the (1, 2)-swap of Andrade, Resende and Werneck 2012 is the case of unit weights). At a local optimum a
random column is forced in and the search goes on from there; the best is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy import sparse

from search.lns.structure import is_set_cover, is_set_packing
from solvers.types import Floats, MilpModel

_EPS = 1e-9
_TELL_EVERY_S = 0.01


class OneSwap:
    """Made by `one_swap`, for a model it applies to."""

    name = "one-swap"

    def __init__(
        self, model: MilpModel, by_row: sparse.csr_matrix, by_column: sparse.csc_matrix, *, cover: bool
    ) -> None:
        self._model, self._rows, self._columns, self._cover = model, by_row, by_column, cover
        self._entry_column = np.repeat(np.arange(model.n), np.diff(by_column.indptr))

    def improve(
        self,
        x: Floats,
        seconds: float,
        rng: np.random.Generator,
        on_better: Callable[[Floats], None] = lambda x: None,
    ) -> Floats:
        """(n,) a feasible solution no worse than `x`, 0/1. `on_better` hears of better ones on the way, not too often."""
        until = time.perf_counter() + seconds
        told, best_value = time.perf_counter(), self._value(x > 0.5)

        def tell(taken: np.ndarray) -> None:
            # Every step of a descent is feasible: the first one takes a tenth of a second that nobody need wait for.
            nonlocal told, best_value
            now = time.perf_counter()
            if now - told > _TELL_EVERY_S and (value := self._value(taken)) < best_value - _EPS:
                told, best_value = now, value
                on_better(taken.astype(np.float64))

        best = current = self._descend(x > 0.5, until, tell)
        best_value = current_value = self._value(current)
        while time.perf_counter() < until:
            trial = self._descend(self._kick(current, rng), until)
            value = self._value(trial)
            if value <= current_value + _EPS or rng.random() < 0.02:
                current, current_value = trial, value
            if value < best_value - _EPS:
                best = trial
                tell(best)
                best_value = value
        return best.astype(np.float64)

    def _value(self, taken: np.ndarray) -> float:
        return float(self._model.c[taken].sum())

    def _descend(
        self, taken: np.ndarray, until: float, tell: Callable[[np.ndarray], None] = lambda taken: None
    ) -> np.ndarray:
        taken = taken.copy()
        step = self._cover_step if self._cover else self._packing_step
        while step(taken) and time.perf_counter() < until:
            tell(taken)
        return taken

    def _kick(self, taken: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        taken = taken.copy()
        outside = np.flatnonzero(~taken)
        if self._cover:
            taken[rng.choice(outside, size=min(2, len(outside)), replace=False)] = True
            self._drop_redundant(taken, rng)
            return taken
        for j in rng.choice(outside, size=min(2, len(outside)), replace=False).tolist():
            rows = self._rows_of(j)
            taken[self._others_in(rows)] = False
            taken[j] = True
        return taken

    def _rows_of(self, j: int) -> np.ndarray:
        rows: np.ndarray = self._columns.indices[self._columns.indptr[j] : self._columns.indptr[j + 1]]
        return rows

    def _others_in(self, rows: np.ndarray) -> np.ndarray:
        spans = [self._rows.indices[self._rows.indptr[r] : self._rows.indptr[r + 1]] for r in rows.tolist()]
        return np.concatenate(spans) if spans else rows[:0]

    # Packing.

    def _packing_step(self, taken: np.ndarray) -> bool:
        """Insert what fits, then the best exchange of one for several. False at a local optimum."""
        model = self._model
        owner = np.full(model.m, -1, dtype=np.int64)  # which chosen column holds the row
        inside = taken[self._entry_column]
        owner[self._columns.indices[inside]] = self._entry_column[inside]
        held = owner[self._columns.indices]  # (nnz,) by column
        last = np.full(model.n, -1, dtype=np.int64)
        np.maximum.at(last, self._entry_column, held)
        first = np.full(model.n, model.n, dtype=np.int64)
        real = held >= 0
        np.minimum.at(first, self._entry_column[real], held[real])
        gain = -model.c
        free = np.flatnonzero(~taken & (last < 0) & (gain > _EPS))
        if len(free):
            self._insert(free, taken, owner, gain)
            return True
        single = np.flatnonzero(~taken & (first == last) & (gain > _EPS))  # only one chosen column is in the way
        blocker = last[single]
        worth = np.bincount(blocker, weights=gain[single], minlength=model.n)
        moved = False
        for j in np.argsort(gain - worth)[:200].tolist():
            if worth[j] <= gain[j] + _EPS:
                break
            rows = self._rows_of(j)
            if not taken[j] or (owner[rows] != j).any():
                continue
            options = single[blocker == j]
            taken[j] = False
            owner[rows] = -1
            put = self._insert(options, taken, owner, gain)
            if gain[put].sum() > gain[j] + _EPS:
                moved = True
                continue
            for k in put:
                taken[k] = False
                owner[self._rows_of(k)] = -1
            taken[j] = True
            owner[rows] = j
        return moved

    def _insert(self, options: np.ndarray, taken: np.ndarray, owner: np.ndarray, gain: Floats) -> list[int]:
        """Put in those that fit, dearest per row first."""
        degree = np.diff(self._columns.indptr)[options]
        put = []
        for k in options[np.argsort(-gain[options] / np.maximum(1, degree), kind="stable")].tolist():
            rows = self._rows_of(k)
            if (owner[rows] < 0).all():
                owner[rows] = k
                taken[k] = True
                put.append(k)
        return put

    # Cover.

    def _cover_step(self, taken: np.ndarray) -> bool:
        """Drop what is redundant, then the best exchange of one column for a cheaper one. False at a local optimum."""
        model = self._model
        self._drop_redundant(taken, None)
        inside = taken[self._entry_column]
        times = np.bincount(self._columns.indices[inside], minlength=model.m)
        alone = inside & (times[self._columns.indices] == 1)
        rows, owners = self._columns.indices[alone], self._entry_column[alone]
        need = np.bincount(owners, minlength=model.n)  # rows that only this column covers
        part = self._rows[rows]
        entry_owner = np.repeat(owners, np.diff(part.indptr))
        pairs = entry_owner.astype(np.int64) * model.n + part.indices
        known, shared = np.unique(pairs, return_counts=True)
        old, new = known // model.n, known % model.n
        able = (shared == need[old]) & ~taken[new] & (model.c[new] < model.c[old] - _EPS)
        if not able.any():
            return False
        old, new = old[able], new[able]
        best = int(np.argmax(model.c[old] - model.c[new]))
        taken[old[best]], taken[new[best]] = False, True
        return True

    def _drop_redundant(self, taken: np.ndarray, rng: np.random.Generator | None) -> None:
        inside = taken[self._entry_column]
        times = np.bincount(self._columns.indices[inside], minlength=self._model.m)
        members = np.flatnonzero(taken)
        cost = self._model.c[members]
        order = members[np.argsort(-(cost if rng is None else cost * rng.random(len(members))), kind="stable")]
        for j in order.tolist():
            rows = self._rows_of(j)
            if (times[rows] > 1).all() and self._model.c[j] >= 0:
                taken[j] = False
                times[rows] -= 1


def one_swap(model: MilpModel, by_row: sparse.csr_matrix, by_column: sparse.csc_matrix) -> OneSwap | None:
    """For pure 0/1 covers with costs ≥ 0 and packings; None for anything else."""
    cover = is_set_cover(model)
    if model.m == 0 or not (cover or is_set_packing(model)):
        return None
    return OneSwap(model, by_row, by_column, cover=cover)

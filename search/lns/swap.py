"""One-swap local search for pure covers and packings: no solver.

Cover (rows a·x ≥ 1, all ones): take out one column and put in a cheaper one that covers what only the first did, then drop what
has become redundant. At a local optimum random columns are forced in and the search goes on from there; the best is kept.
Packings, and covers whose rows have two entries, have a search of their own (`search.lns.exchange`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy import sparse

from search.lns.exchange import Exchange, conflicts_of
from search.lns.structure import is_set_cover, is_set_packing
from solvers.types import Floats, MilpModel

_EPS = 1e-9
_TELL_EVERY_S = 0.01


class OneSwap:
    """Made by `one_swap`, for a model it applies to."""

    name = "one-swap"

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
        """(n,) a feasible solution no worse than `x`, 0/1. `on_better` hears of better ones on the way, not too often."""
        until = time.process_time() + seconds
        told, best_value = time.process_time(), self._value(x > 0.5)

        def tell(taken: np.ndarray) -> None:
            # Every step of a descent is feasible: the first one takes a tenth of a second that nobody need wait for.
            nonlocal told, best_value
            now = time.process_time()
            if (
                now - told > _TELL_EVERY_S
                and (value := self._value(taken)) < best_value - _EPS
            ):
                told, best_value = now, value
                on_better(taken.astype(np.float64))

        best = current = self._descend(x > 0.5, until, tell)
        best_value = current_value = self._value(current)
        while time.process_time() < until:
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
        self,
        taken: np.ndarray,
        until: float,
        tell: Callable[[np.ndarray], None] = lambda taken: None,
    ) -> np.ndarray:
        taken = taken.copy()
        while self._step(taken) and time.process_time() < until:
            tell(taken)
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
        order = members[
            np.argsort(
                -(cost if rng is None else cost * rng.random(len(members))), kind="stable"
            )
        ]
        for j in order.tolist():
            rows = self._rows_of(j)
            if (times[rows] > 1).all() and self._model.c[j] >= 0:
                taken[j] = False
                times[rows] -= 1


def one_swap(
    model: MilpModel, by_row: sparse.csr_matrix, by_column: sparse.csc_matrix
) -> OneSwap | Exchange | None:
    """For pure 0/1 covers with costs ≥ 0 and packings; None for anything else."""
    if model.m == 0:
        return None
    if is_set_packing(model):
        conflicts = conflicts_of(by_row)
        return (
            None if conflicts is None else Exchange(-model.c, conflicts, complement=False)
        )
    if not is_set_cover(model):
        return None
    if (
        bool((np.diff(by_row.indptr) == 2).all())
        and (conflicts := conflicts_of(by_row)) is not None
    ):
        return Exchange(model.c, conflicts, complement=True)
    return OneSwap(model, by_row, by_column)

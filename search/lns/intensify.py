"""Intensifiers: local searches on the incumbent that need no solver, beside or among the arms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from scipy import sparse

from search.lns.exchange import Exchange, conflicts_of
from search.lns.structure import is_set_cover, is_set_packing
from search.lns.swap import OneSwap
from solvers.types import Floats, MilpModel


class Intensifier(Protocol):
    """Local search on the incumbent."""

    name: str
    competes: (
        bool  # True: takes turns with the arms; False: gets time of its own beside them
    )

    def improve(
        self,
        x: Floats,
        seconds: float,
        rng: np.random.Generator,
        on_better: Callable[[Floats], None],
    ) -> Floats:
        """Return (n,) a feasible solution no worse than `x`; report better ones on the way."""
        ...


def make_intensifier(
    model: MilpModel, by_row: sparse.csr_matrix, by_column: sparse.csc_matrix
) -> Intensifier | None:
    """Return the local search for pure packings and 0/1 covers with costs ≥ 0; else None.

    Packings, and covers whose rows are pairs, are searched on their conflict graph.
    """
    if model.m == 0:
        return None
    if is_set_packing(model):
        conflicts = conflicts_of(by_row)
        if conflicts is None:
            return None
        return Exchange(-model.c, conflicts, complement=False)
    if not is_set_cover(model):
        return None
    if bool((np.diff(by_row.indptr) == 2).all()):
        conflicts = conflicts_of(by_row)
        if conflicts is not None:
            return Exchange(model.c, conflicts, complement=True)
    return OneSwap(model, by_row, by_column)

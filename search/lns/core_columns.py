"""Core columns: the variables that good solutions are made of, and so worth freeing.

On a set cover with 63,009 columns a uniformly random neighbourhood holds almost only columns that
no good solution uses. Before the root LP is solved the core is each row's cheapest columns by cost
per row covered (the core problem of Caprara, Fischetti and Toth 1999); afterwards it is the columns
of least reduced cost. The core is a preference without proof: some steps ignore it.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from solvers.relaxation import LpSolution
from solvers.types import Bools, Floats, MilpModel


class CoreColumns:
    """Ranks the variables and selects the best of them."""

    def __init__(
        self, model: MilpModel, by_row: sparse.csr_matrix, by_column: sparse.csc_matrix
    ) -> None:
        self._integer = model.integrality
        self._score: Floats | None = None  # (n,) small is good; None without a ranking
        covering = bool(
            (model.data > 0).all()
            and (model.c >= 0).all()
            and np.isfinite(model.row_lower).all()
        )
        if covering and model.n > 0:
            degree = np.maximum(1, np.diff(by_column.indptr))
            self._score = _rank_in_rows(model.c / degree, by_row)

    def learn(self, root: LpSolution) -> None:
        """Rank by reduced cost from now on."""
        if root.reduced_costs is not None:
            self._score = np.abs(root.reduced_costs)

    def best(self, count: int, x: Floats) -> Bools | None:
        """Return (n,) the `count` best integer variables and all that `x` uses.

        None while there is no ranking, or when all integer variables belong to it.
        """
        if self._score is None or count >= int(self._integer.sum()):
            return None
        score = np.where(self._integer, self._score, np.inf)
        core = np.zeros(len(score), dtype=bool)
        core[np.argpartition(score, count)[:count]] = True
        return (core & self._integer) | (self._integer & (np.abs(x) > 0.5))


def _rank_in_rows(price: Floats, by_row: sparse.csr_matrix) -> Floats:
    """Return (n,) the best place of each column among the columns of a row, ordered by price.

    Ties are broken by price.
    """
    rows = np.repeat(np.arange(by_row.shape[0]), np.diff(by_row.indptr))
    entry_price = price[by_row.indices]
    order = np.lexsort((entry_price, rows))
    place_in_row = np.arange(len(order)) - by_row.indptr[rows[order]]
    best = np.full(len(price), np.inf)
    np.minimum.at(best, by_row.indices[order], place_in_row)
    ranked: Floats = best + price / (1.0 + price.max(initial=0.0))
    return ranked

"""The repair step: the program that is left when some variables are fixed, cut out of the sparse matrix with numpy.

No model is copied and no bound is changed in a solver: columns that are fixed and rows that can no longer be broken are
simply not there. On a set cover of a million nonzeros this leaves a few thousand (ilp.md, findings 7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from solvers.feasibility import activity_range_of
from solvers.types import Bools, Floats, MilpModel

_TOLERANCE = 1e-7


@dataclass(frozen=True, kw_only=True, eq=False)
class SubMip:
    """A smaller model and where its columns come from."""

    model: MilpModel
    columns: np.ndarray  # (free,) columns of the whole model, ascending

    def lift(self, x_whole: Floats, x_sub: Floats) -> Floats:
        """The whole solution with the freed part replaced. Shapes (n,), (free,) → (n,)."""
        lifted = x_whole.copy()
        lifted[self.columns] = x_sub
        return lifted


class Slicer:
    """Cuts sub-MIPs out of one model."""

    def __init__(self, model: MilpModel) -> None:
        self._model = model
        self._by_row = model.matrix
        self._by_column: sparse.csc_matrix = self._by_row.tocsc()

    @property
    def by_column(self) -> sparse.csc_matrix:
        """A, column-wise."""
        return self._by_column

    @property
    def by_row(self) -> sparse.csr_matrix:
        """A, row-wise."""
        return self._by_row

    def cut(self, x: Floats, free: Bools) -> SubMip | None:
        """The program over `free` with the rest fixed at `x`; None when a fixed row is broken already.

        Shapes: x (n,), free (n,). A cutoff is no row here (it would be dense): give it to the solver.
        """
        model = self._model
        columns = np.flatnonzero(free)
        part = self._by_column[:, columns].tocsr()  # (m, free)
        fixed_x = np.where(free, 0.0, x)
        fixed = self._by_row @ fixed_x  # (m,) what the fixed variables give to each row
        lower, upper = model.row_lower - fixed, model.row_upper - fixed
        entry_row = np.repeat(np.arange(model.m), np.diff(part.indptr))
        bounds = (model.col_lower[columns], model.col_upper[columns])
        low, high = activity_range_of(part.data, part.indices, entry_row, model.m, *bounds)
        scale = _TOLERANCE * np.maximum(1.0, np.abs(fixed))
        whole = model.whole_rows  # units of rows that hold exactly: beside 1e8 the relative slack is ten whole units
        scale = np.where(whole > 0, np.minimum(scale, 0.01 * whole), scale)
        needed = (low < lower - scale) | (high > upper + scale)
        if bool(
            np.any(needed & ((high < lower - 10 * scale) | (low > upper + 10 * scale)))
        ):
            return None
        rows = np.flatnonzero(needed)
        part = part[rows]
        part.sort_indices()
        return SubMip(
            columns=columns,
            model=MilpModel(
                c=model.c[columns],
                col_lower=model.col_lower[columns],
                col_upper=model.col_upper[columns],
                integrality=model.integrality[columns],
                indptr=part.indptr.astype(np.int32),
                indices=part.indices.astype(np.int32),
                data=part.data,
                row_lower=lower[rows],
                row_upper=upper[rows],
                offset=model.offset + float(model.c @ fixed_x),
            ),
        )

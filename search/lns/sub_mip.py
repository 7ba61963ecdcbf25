"""Sub-MIPs: programs with most variables fixed, sliced out of the sparse matrix.

No model is copied and no bound is changed in a solver: fixed columns and rows that can no longer be
violated are left out. On a set cover of a million nonzeros a few thousand remain
(deploy/docs/design/ilp.md, "Sub-MIPs").
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
    """A smaller model, and the columns of the whole model it consists of."""

    model: MilpModel
    columns: np.ndarray  # (free,) columns of the whole model, ascending

    def lift(self, x_whole: Floats, x_sub: Floats) -> Floats:
        """Replace the freed part of a whole solution. Shapes (n,), (free,) → (n,)."""
        lifted = x_whole.copy()
        lifted[self.columns] = x_sub
        return lifted


class Slicer:
    """Slices sub-MIPs out of one model."""

    def __init__(self, model: MilpModel) -> None:
        self._model = model
        self._by_row = model.matrix
        self._by_column: sparse.csc_matrix = self._by_row.tocsc()

    @property
    def model(self) -> MilpModel:
        """The whole model."""
        return self._model

    @property
    def by_column(self) -> sparse.csc_matrix:
        """The matrix by columns."""
        return self._by_column

    @property
    def by_row(self) -> sparse.csr_matrix:
        """The matrix by rows."""
        return self._by_row

    def cut(self, x: Floats, free: Bools) -> SubMip | None:
        """Return the program over `free` with the rest fixed at `x`.

        None when a row without free variables is violated. A cutoff is not made a row (it would be
        dense): pass it to the solver.

        Shapes: x (n,), free (n,).
        """
        model = self._model
        columns = np.flatnonzero(free)
        part = self._by_column[:, columns].tocsr()  # (m, free)
        fixed_x = np.where(free, 0.0, x)
        fixed = self._by_row @ fixed_x  # (m,) activity of the fixed variables
        lower, upper = model.row_lower - fixed, model.row_upper - fixed
        entry_row = np.repeat(np.arange(model.m), np.diff(part.indptr))
        bounds = (model.col_lower[columns], model.col_upper[columns])
        low, high = activity_range_of(
            part.data, part.indices, entry_row, model.m, *bounds
        )
        scale = _TOLERANCE * np.maximum(1.0, np.abs(fixed))
        # Units of rows that hold exactly: at a side of 1e8 the relative slack would be ten units.
        whole = model.whole_rows
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
                feasibility_tolerance=model.feasibility_tolerance,
            ),
        )

"""Views of integer programs: permuted rows and columns, rows scaled by powers of two."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from solvers.types import MilpModel

LARGEST_POWER = 3  # rows are multiplied by 2⁻³ to 2³


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelView:
    """The same integer program, written differently."""

    model: MilpModel
    columns: NDArray[np.int64]
    """(n,) number in the original of each variable"""
    rows: NDArray[np.int64]
    """(m,) number in the original of each row"""

    def original(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a solution of the view in the order of the original. Shapes: (n,) → (n,)."""
        out = np.empty_like(x)
        out[self.columns] = x
        return out


def model_view(
    model: MilpModel, rng: np.random.Generator, *, scale: bool = True
) -> ModelView:
    """Draw a view: feasible points and their objective are those of the original.

    A power of two changes no digit of a coefficient, so the view is exact. Raises ValueError for
    models with parts that are not linear.
    """
    if model.extras is not None:
        raise ValueError(
            "model: expected a linear one, got parts that are not linear; leave it out"
        )
    columns, rows = rng.permutation(len(model.c)), rng.permutation(len(model.row_lower))
    powers = rng.integers(-LARGEST_POWER, LARGEST_POWER + 1, len(rows))
    factor: NDArray[np.float64] = np.ldexp(1.0, powers if scale else 0 * powers)
    matrix = sparse.csr_matrix(
        (model.data, model.indices, model.indptr), shape=(len(rows), len(columns))
    )
    turned = sparse.csr_matrix(sparse.diags(factor) @ matrix[rows][:, columns])
    turned.sort_indices()
    earlier = model.row_factors
    view = replace(
        model,
        c=model.c[columns],
        col_lower=model.col_lower[columns],
        col_upper=model.col_upper[columns],
        integrality=model.integrality[columns],
        indptr=turned.indptr,
        indices=turned.indices,
        data=turned.data,
        row_lower=model.row_lower[rows] * factor,
        row_upper=model.row_upper[rows] * factor,
        col_names=_chosen(model.col_names, columns),
        row_names=_chosen(model.row_names, rows),
        row_factors=factor if earlier is None else earlier[rows] * factor,
    )
    return ModelView(model=view, columns=columns, rows=rows)


def _chosen(
    names: tuple[str, ...] | None, order: NDArray[np.int64]
) -> tuple[str, ...] | None:
    return None if names is None else tuple(names[i] for i in order)

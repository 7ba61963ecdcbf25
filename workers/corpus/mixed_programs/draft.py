"""Draft of a model: blocks of columns and rows, and coefficients broadcast over them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from solvers.types import MilpModel

Index = NDArray[np.int64]
_DECIMALS = 6


class Draft:
    """Collects a model; `model` returns it."""

    def __init__(self) -> None:
        self._columns: list[tuple[np.ndarray, ...]] = []
        self._rows: list[tuple[np.ndarray, ...]] = []
        self._entries: list[tuple[np.ndarray, ...]] = []
        self._n = self._m = 0

    def columns(
        self,
        *shape: int,
        cost: ArrayLike = 0.0,
        upper: ArrayLike = math.inf,
        binary: bool = False,
    ) -> Index:
        """Add columns from 0 to `upper` (1 for binaries); return their indices in `shape`."""
        count = math.prod(shape)
        self._columns.append(
            (
                _spread(cost, shape),
                _spread(1.0 if binary else upper, shape),
                np.full(count, binary),
            )
        )
        self._n += count
        return np.arange(self._n - count, self._n).reshape(shape)

    def rows(
        self, *shape: int, lower: ArrayLike = -math.inf, upper: ArrayLike = math.inf
    ) -> Index:
        """Add rows without coefficients; return their indices in `shape`."""
        count = math.prod(shape)
        self._rows.append((_spread(lower, shape), _spread(upper, shape)))
        self._m += count
        return np.arange(self._m - count, self._m).reshape(shape)

    def add(self, rows: Index, columns: Index, coefficients: ArrayLike = 1.0) -> None:
        """Add coefficients; the three arguments are broadcast, and repeated places add up."""
        parts = np.broadcast_arrays(rows, columns, np.asarray(coefficients, dtype=float))
        self._entries.append(tuple(part.ravel() for part in parts))

    def model(self, name: str) -> MilpModel:
        """Return the model, minimising, with numbers rounded to six decimals."""
        cost, upper, binary = (
            np.concatenate(parts) for parts in zip(*self._columns, strict=True)
        )
        row_lower, row_upper = (
            np.concatenate(parts) for parts in zip(*self._rows, strict=True)
        )
        rows, columns, data = (
            np.concatenate(parts) for parts in zip(*self._entries, strict=True)
        )
        matrix = sparse.csr_matrix(
            (np.round(data, _DECIMALS), (rows, columns)), shape=(self._m, self._n)
        )
        matrix.eliminate_zeros()
        matrix.sort_indices()
        return MilpModel(
            c=np.round(cost, _DECIMALS),
            col_lower=np.zeros(self._n),
            col_upper=np.round(upper, _DECIMALS),
            integrality=binary,
            indptr=matrix.indptr.astype(np.int32),
            indices=matrix.indices.astype(np.int32),
            data=matrix.data,
            row_lower=np.round(row_lower, _DECIMALS),
            row_upper=np.round(row_upper, _DECIMALS),
            name=name,
        )


def _spread(values: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    spread: np.ndarray = np.broadcast_to(np.asarray(values, dtype=float), shape).ravel()
    return spread

"""Small models to search on."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import sparse

from solvers.types import MilpModel


def milp(
    c: list[float],
    rows: list[tuple[float, list[float], float]],
    *,
    lower: list[float] | None = None,
    upper: list[float] | None = None,
    integer: list[bool] | None = None,
) -> MilpModel:
    """A dense little model; a row is (lower, coefficients, upper)."""
    n = len(c)
    matrix = sparse.csr_matrix(
        np.array([r[1] for r in rows], dtype=float).reshape(len(rows), n)
    )
    return MilpModel(
        c=np.array(c, dtype=float),
        col_lower=np.array(lower if lower is not None else [0.0] * n),
        col_upper=np.array(upper if upper is not None else [1.0] * n),
        integrality=np.array(integer if integer is not None else [True] * n),
        indptr=matrix.indptr,
        indices=matrix.indices,
        data=matrix.data,
        row_lower=np.array([r[0] for r in rows], dtype=float),
        row_upper=np.array([r[2] for r in rows], dtype=float),
    )


def random_cover(rows: int, columns: int, seed: int) -> MilpModel:
    """A set cover in which every row can be covered."""
    rng = np.random.default_rng(seed)
    matrix = (rng.random((rows, columns)) < 0.3).astype(float)
    matrix[np.arange(rows), rng.integers(columns, size=rows)] = 1.0
    entries = [(1.0, matrix[i].tolist(), np.inf) for i in range(rows)]
    return milp(rng.integers(1, 20, columns).astype(float).tolist(), entries)


def partitioning(rows: int, columns: int, seed: int) -> MilpModel:
    """A set partitioning: each row has an expensive column of its own, the others take 2 to 6."""
    rng = np.random.default_rng(seed)
    matrix = np.zeros((rows, columns + rows))
    for j in range(columns):
        matrix[rng.choice(rows, size=int(rng.integers(2, 7)), replace=False), j] = 1.0
    matrix[np.arange(rows), columns + np.arange(rows)] = 1.0
    cost = np.concatenate(
        [
            matrix[:, :columns].sum(axis=0) * rng.integers(8, 13, columns),
            np.full(rows, 60),
        ]
    )
    return milp(
        cost.astype(float).tolist(), [(1.0, matrix[i].tolist(), 1.0) for i in range(rows)]
    )


def odd_cycle() -> MilpModel:
    """x + y = 1, y + z = 1, z + x = 1: only one half each will do."""
    pairs = ([1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0])
    return milp([1.0, 1.0, 1.0], [(1.0, pair, 1.0) for pair in pairs])


def mixed_rows(seed: int, *, equalities: bool = True) -> MilpModel:
    """Knapsacks, equalities and covers over general integers."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, 8).astype(float)
    rows = []
    for kind in range(6):
        a = rng.integers(-3, 6, 8).astype(float)
        value = float(a @ x)
        rows.append(
            [
                (-np.inf, value + 1),
                (value, value) if equalities else (value - 3, value),
                (value - 2, np.inf),
            ][kind % 3]
        )
        rows[-1] = (rows[-1][0], a.tolist(), rows[-1][1])
    return milp(rng.integers(-4, 5, 8).astype(float).tolist(), rows, upper=[3.0] * 8)


def brute_force(model: MilpModel) -> tuple[float, np.ndarray | None]:
    """Best 0/1 point by trying all; (inf, None) when there is none."""
    best, best_x = np.inf, None
    for point in itertools.product((0.0, 1.0), repeat=model.n):
        x = np.array(point)
        activity = model.matrix @ x
        holds = bool(
            (
                (activity >= model.row_lower - 1e-9)
                & (activity <= model.row_upper + 1e-9)
            ).all()
        )
        if holds and model.objective(x) < best:
            best, best_x = model.objective(x), x
    return best, best_x

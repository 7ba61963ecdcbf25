"""Intensifiers and models for their tests."""

from __future__ import annotations

import numpy as np

from search.lns.intensify import Intensifier, make_intensifier
from search.lns.sub_mip import Slicer
from solvers.types import MilpModel
from tests.search.models import milp


def intensifier_of(model: MilpModel) -> Intensifier:
    slicer = Slicer(model)
    intensifier = make_intensifier(model, slicer.by_row, slicer.by_column)
    assert intensifier is not None
    return intensifier


def packing(rows: int, columns: int, seed: int) -> MilpModel:
    rng = np.random.default_rng(seed)
    matrix = (rng.random((rows, columns)) < 0.25).astype(float)
    return milp(
        (-rng.integers(1, 9, columns)).astype(float).tolist(),
        [(-np.inf, row.tolist(), 1.0) for row in matrix],
    )


def graph(nodes: int, seed: int, *, cover: bool) -> MilpModel:
    """A random graph's vertex cover, or its independent set of most weight (some columns cost)."""
    rng = np.random.default_rng(seed)
    edges = [(i, j) for i in range(nodes) for j in range(i) if rng.random() < 0.3] or [
        (0, 1)
    ]
    rows = [[float(k in edge) for k in range(nodes)] for edge in edges]
    if cover:
        return milp(
            rng.integers(0, 9, nodes).astype(float).tolist(),
            [(1.0, row, np.inf) for row in rows],
        )
    return milp(
        (-rng.integers(-2, 9, nodes)).astype(float).tolist(),
        [(-np.inf, row, 1.0) for row in rows],
    )

"""One-swap search: only feasible, never worse, and better than greedy where one exchange is enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.lns.start import constructive
from search.lns.sub_mip import Slicer
from search.lns.swap import OneSwap, one_swap
from solvers.feasibility import is_feasible
from solvers.types import MilpModel
from tests.search.models import brute_force, milp, random_cover
from workers import generators


def made(model: MilpModel) -> OneSwap:
    slicer = Slicer(model)
    swap = one_swap(model, slicer.by_row, slicer.by_column)
    assert swap is not None
    return swap


def packing(rows: int, columns: int, seed: int) -> MilpModel:
    rng = np.random.default_rng(seed)
    matrix = (rng.random((rows, columns)) < 0.25).astype(float)
    return milp((-rng.integers(1, 9, columns)).astype(float).tolist(), [(-np.inf, row.tolist(), 1.0) for row in matrix])


@given(seed=st.integers(0, 3_000), cover=st.booleans())
@settings(max_examples=25, deadline=None)
def test_feasible_and_no_worse(seed: int, cover: bool) -> None:
    model = random_cover(9, 13, seed) if cover else packing(9, 13, seed)
    x = np.ones(model.n) if cover else np.zeros(model.n)
    better = made(model).improve(x, 0.02, np.random.default_rng(seed))
    assert is_feasible(model, better)
    assert model.objective(better) <= model.objective(x)
    best, _ = brute_force(model)
    assert model.objective(better) >= best - 1e-9


def test_exchange_of_one_for_two() -> None:
    # Column 0 blocks 1 and 2, which are worth more together.
    model = milp([-3, -2, -2], [(-np.inf, [1, 1, 0], 1), (-np.inf, [1, 0, 1], 1)])
    better = made(model).improve(np.array([1.0, 0, 0]), 0.01, np.random.default_rng(0))
    assert better.tolist() == [0, 1, 1]


def test_exchange_for_a_cheaper_cover() -> None:
    model = milp([5, 3, 1], [(1, [1, 1, 0], np.inf), (1, [1, 1, 0], np.inf), (1, [0, 0, 1], np.inf)])
    better = made(model).improve(np.array([1.0, 0, 1]), 0.01, np.random.default_rng(0))
    assert better.tolist() == [0, 1, 1]


@pytest.mark.parametrize("family", ["set-cover", "independent-set", "auction", "vertex-cover"])
def test_better_than_greedy_on_the_families(family: str) -> None:
    model = generators.generate(family, "1/5", 7)
    slicer = Slicer(model)
    x = constructive(model, slicer.by_row, slicer.by_column)
    assert x is not None
    better = made(model).improve(x, 0.5, np.random.default_rng(0))
    assert is_feasible(model, better)
    assert model.objective(better) < model.objective(x)


def test_says_no_where_it_does_not_apply() -> None:
    for model in (
        milp([1, 1], [(1, [1, 1], 1)]),  # partitioning
        milp([1, 1], [(2, [1, 1], np.inf)]),  # cardinality
        milp([1, 1], [(1, [1, 2], np.inf)]),  # knapsack
        milp([1, 1], [(1, [1, 1], np.inf)], integer=[True, False]),
        milp([1, -1], [(1, [1, 1], np.inf)]),  # a cover that pays
    ):
        slicer = Slicer(model)
        assert one_swap(model, slicer.by_row, slicer.by_column) is None

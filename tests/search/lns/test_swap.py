"""One-swap search: only feasible, never worse, and better than greedy where one exchange is enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.lns.constructive import constructive
from search.lns.exchange import Exchange, conflicts_of
from search.lns.sub_mip import Slicer
from search.lns.swap import OneSwap, one_swap
from solvers.feasibility import is_feasible
from solvers.types import MilpModel
from tests.search.models import brute_force, milp, random_cover
from workers.corpus import integer_programs


def made(model: MilpModel) -> OneSwap | Exchange:
    slicer = Slicer(model)
    swap = one_swap(model, slicer.by_row, slicer.by_column)
    assert swap is not None
    return swap


def packing(rows: int, columns: int, seed: int) -> MilpModel:
    rng = np.random.default_rng(seed)
    matrix = (rng.random((rows, columns)) < 0.25).astype(float)
    return milp(
        (-rng.integers(1, 9, columns)).astype(float).tolist(),
        [(-np.inf, row.tolist(), 1.0) for row in matrix],
    )


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
    model = milp(
        [5, 3, 1], [(1, [1, 1, 0], np.inf), (1, [1, 1, 0], np.inf), (1, [0, 0, 1], np.inf)]
    )
    better = made(model).improve(np.array([1.0, 0, 1]), 0.01, np.random.default_rng(0))
    assert better.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "family", ["set-cover", "independent-set", "auction", "vertex-cover"]
)
def test_better_than_greedy_on_the_families(family: str) -> None:
    model = integer_programs.generate(family, "1/5", 7)
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


@given(seed=st.integers(0, 3_000), cover=st.booleans())
@settings(max_examples=25, deadline=None)
def test_graphs_are_solved_by_exchanges(seed: int, cover: bool) -> None:
    model = graph(11, seed, cover=cover)
    search = made(model)
    assert isinstance(search, Exchange)
    x = np.ones(model.n) if cover else np.zeros(model.n)
    better = search.improve(x, 0.1, np.random.default_rng(seed))
    assert is_feasible(model, better)
    best, _ = brute_force(model)
    assert model.objective(better) == pytest.approx(best), (
        "hundreds of kicks on eleven nodes"
    )


def test_what_is_kept_up_to_date_is_right_after_many_moves() -> None:
    model = integer_programs.generate("auction", "1/5", 7)
    slicer = Slicer(model)
    search = made(model)
    assert isinstance(search, Exchange)
    rng = np.random.default_rng(3)
    x, other = np.zeros(model.n), constructive(model, slicer.by_row, slicer.by_column)
    assert other is not None
    for start in (x, other, x):  # from one solution to another and back
        better = search.improve(start, 0.1, rng)
        assert is_feasible(model, better)
        assert model.objective(better) <= model.objective(start)
    conflicts = conflicts_of(slicer.by_row)
    assert conflicts is not None
    inside = np.array(search._inside, dtype=float)
    np.testing.assert_array_equal(
        search._count, conflicts.astype(bool).astype(int) @ inside
    )
    np.testing.assert_allclose(
        search._weight,
        conflicts.astype(bool).astype(float) @ (inside * -model.c),
        atol=1e-6,
    )
    assert search._value == pytest.approx(float(-model.c @ inside))
    assert float(inside @ conflicts @ inside) == 0, "nothing inside is in conflict"


def test_better_ones_are_told_on_the_way() -> None:
    model = integer_programs.generate("independent-set", "1/5", 7)
    told: list[float] = []

    def on_better(x: np.ndarray) -> None:
        assert is_feasible(model, x)
        told.append(model.objective(x))

    better = made(model).improve(
        np.zeros(model.n), 0.6, np.random.default_rng(0), on_better
    )
    assert told == sorted(told, reverse=True)
    assert len(told) >= 2
    assert model.objective(better) <= told[-1]


def test_columns_that_cost_are_left_out() -> None:
    model = milp([-3, 2], [(-np.inf, [1, 1], 1)])
    assert made(model).improve(
        np.array([0.0, 1.0]), 0.01, np.random.default_rng(0)
    ).tolist() == [1, 0]
    worthless = milp([1, 2], [(-np.inf, [1, 1], 1)])
    assert made(worthless).improve(
        np.zeros(2), 0.01, np.random.default_rng(0)
    ).tolist() == [0, 0]


def test_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from search.lns import exchange

    model = packing(9, 13, 1)
    assert conflicts_of(Slicer(model).by_row) is not None
    monkeypatch.setattr(exchange, "_MOST_PAIRS", 3)
    slicer = Slicer(model)
    assert one_swap(model, slicer.by_row, slicer.by_column) is None
    cover = graph(11, 1, cover=True)
    assert isinstance(made(cover), OneSwap), "the other search takes it"

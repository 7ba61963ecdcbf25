"""Exchange search on conflict graphs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.lns.constructive import constructive
from search.lns.exchange import Exchange, conflicts_of
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from tests.search.lns.intensified import graph, intensifier_of
from tests.search.models import brute_force, milp
from workers.corpus import integer_programs


def test_exchange_of_one_for_two() -> None:
    # Column 0 blocks 1 and 2, which are worth more together.
    model = milp([-3, -2, -2], [(-np.inf, [1, 1, 0], 1), (-np.inf, [1, 0, 1], 1)])
    better = intensifier_of(model).improve(
        np.array([1.0, 0, 0]), 0.01, np.random.default_rng(0)
    )
    assert better.tolist() == [0, 1, 1]


@given(seed=st.integers(0, 3_000), cover=st.booleans())
@settings(max_examples=25, deadline=None)
def test_graphs_are_solved_by_exchanges(seed: int, cover: bool) -> None:
    model = graph(11, seed, cover=cover)
    search = intensifier_of(model)
    assert isinstance(search, Exchange)
    x = np.ones(model.n) if cover else np.zeros(model.n)
    better = search.improve(x, 0.1, np.random.default_rng(seed))
    assert is_feasible(model, better)
    best, _ = brute_force(model)
    assert model.objective(better) == pytest.approx(best), (
        "hundreds of kicks on eleven nodes"
    )


def test_counts_and_weights_are_right_after_many_moves() -> None:
    model = integer_programs.generate("auction", "1/5", 7)
    slicer = Slicer(model)
    search = intensifier_of(model)
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


def test_columns_that_cost_are_left_out() -> None:
    model = milp([-3, 2], [(-np.inf, [1, 1], 1)])
    assert intensifier_of(model).improve(
        np.array([0.0, 1.0]), 0.01, np.random.default_rng(0)
    ).tolist() == [1, 0]
    worthless = milp([1, 2], [(-np.inf, [1, 1], 1)])
    assert intensifier_of(worthless).improve(
        np.zeros(2), 0.01, np.random.default_rng(0)
    ).tolist() == [0, 0]

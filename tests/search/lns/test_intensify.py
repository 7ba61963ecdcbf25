"""Intensifiers: feasible, never worse, and only on the models that they apply to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.lns import exchange
from search.lns.constructive import constructive
from search.lns.exchange import Exchange
from search.lns.intensify import make_intensifier
from search.lns.sub_mip import Slicer
from search.lns.swap import OneSwap
from solvers.feasibility import is_feasible
from tests.search.lns.intensified import graph, intensifier_of, packing
from tests.search.models import brute_force, milp, random_cover
from workers.corpus import integer_programs


@given(seed=st.integers(0, 3_000), cover=st.booleans())
@settings(max_examples=25, deadline=None)
def test_feasible_and_no_worse(seed: int, cover: bool) -> None:
    model = random_cover(9, 13, seed) if cover else packing(9, 13, seed)
    x = np.ones(model.n) if cover else np.zeros(model.n)
    better = intensifier_of(model).improve(x, 0.02, np.random.default_rng(seed))
    assert is_feasible(model, better)
    assert model.objective(better) <= model.objective(x)
    best, _ = brute_force(model)
    assert model.objective(better) >= best - 1e-9


@pytest.mark.parametrize(
    "family", ["set-cover", "independent-set", "auction", "vertex-cover"]
)
def test_better_than_greedy_on_the_families(family: str) -> None:
    model = integer_programs.generate(family, "1/5", 7)
    slicer = Slicer(model)
    x = constructive(model, slicer.by_row, slicer.by_column)
    assert x is not None
    better = intensifier_of(model).improve(x, 0.5, np.random.default_rng(0))
    assert is_feasible(model, better)
    assert model.objective(better) < model.objective(x)


def test_none_where_it_does_not_apply() -> None:
    for model in (
        milp([1, 1], [(1, [1, 1], 1)]),  # partitioning
        milp([1, 1], [(2, [1, 1], np.inf)]),  # cardinality
        milp([1, 1], [(1, [1, 2], np.inf)]),  # knapsack
        milp([1, 1], [(1, [1, 1], np.inf)], integer=[True, False]),
        milp([1, -1], [(1, [1, 1], np.inf)]),  # a cover that pays
    ):
        slicer = Slicer(model)
        assert make_intensifier(model, slicer.by_row, slicer.by_column) is None


def test_better_ones_are_reported_on_the_way() -> None:
    model = integer_programs.generate("independent-set", "1/5", 7)
    reported: list[float] = []

    def on_better(x: np.ndarray) -> None:
        assert is_feasible(model, x)
        reported.append(model.objective(x))

    better = intensifier_of(model).improve(
        np.zeros(model.n), 0.6, np.random.default_rng(0), on_better
    )
    assert reported == sorted(reported, reverse=True)
    assert len(reported) >= 2
    assert model.objective(better) <= reported[-1]


def test_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:

    model = packing(9, 13, 1)
    assert exchange.conflicts_of(Slicer(model).by_row) is not None
    monkeypatch.setattr(exchange, "_MOST_PAIRS", 3)
    slicer = Slicer(model)
    assert make_intensifier(model, slicer.by_row, slicer.by_column) is None
    cover = graph(11, 1, cover=True)
    assert isinstance(intensifier_of(cover), OneSwap), "the other search takes it"


def test_one_swap_takes_turns_with_the_arms_and_exchanges_go_beside_them() -> None:
    cover = intensifier_of(random_cover(9, 13, 1))
    assert isinstance(cover, OneSwap)
    assert cover.competes
    pairs = intensifier_of(graph(11, 1, cover=True))
    assert isinstance(pairs, Exchange)
    assert not pairs.competes
    assert cover.name == pairs.name == "one-swap"

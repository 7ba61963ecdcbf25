"""One-swap search on set covers."""

from __future__ import annotations

import numpy as np

from search.lns.sub_mip import Slicer
from search.lns.swap import OneSwap
from solvers.feasibility import is_feasible
from tests.search.lns.intensified import intensifier_of
from tests.search.models import milp, random_cover


def test_exchange_for_a_cheaper_cover() -> None:
    model = milp(
        [5, 3, 1],
        [(1, [1, 1, 0], np.inf), (1, [1, 1, 0], np.inf), (1, [0, 0, 1], np.inf)],
    )
    better = intensifier_of(model).improve(
        np.array([1.0, 0, 1]), 0.01, np.random.default_rng(0)
    )
    assert better.tolist() == [0, 1, 1]


def test_redundant_columns_are_dropped_most_expensive_first() -> None:
    model = milp([5, 3, 1], [(1, [1, 1, 1], np.inf), (1, [1, 1, 0], np.inf)])
    slicer = Slicer(model)
    search = OneSwap(model, slicer.by_row, slicer.by_column)
    better = search.improve(np.ones(3), 0.01, np.random.default_rng(0))
    assert better.tolist() == [0, 1, 0]


def test_reports_are_feasible_and_ever_better() -> None:
    model = random_cover(40, 80, 3)
    slicer = Slicer(model)
    reported: list[float] = []

    def on_better(x: np.ndarray) -> None:
        assert is_feasible(model, x)
        reported.append(model.objective(x))

    search = OneSwap(model, slicer.by_row, slicer.by_column)
    better = search.improve(np.ones(model.n), 0.2, np.random.default_rng(0), on_better)
    assert reported == sorted(reported, reverse=True)
    assert all(value >= model.objective(better) - 1e-9 for value in reported)

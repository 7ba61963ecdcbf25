"""Guide of the arms: solution pool, differences, and local-branching LPs."""

from __future__ import annotations

import time

import numpy as np

from search.lns.deadline import Deadline
from search.lns.guide import Guide, SolutionPool
from solvers.relaxation import distance_row
from tests.search.models import milp, random_cover


def test_pool_keeps_the_best_distinct_solutions() -> None:
    pool = SolutionPool()
    for value in range(14):
        pool.add(float(value), np.full(8, float(value)))
        pool.add(float(value), np.full(8, float(value)))
    assert len(pool) == 10
    assert [float(y[0]) for y in pool.others(np.zeros(8))] == [
        float(v) for v in range(9, 0, -1)
    ]


def test_near_stays_within_the_distance() -> None:
    model = random_cover(12, 24, 5)
    guide, x = Guide(model), np.ones(model.n)
    near = guide.local_branching_optimum(x, 6.0)
    row = distance_row(model, x)
    assert float(row.weights @ near) + row.constant <= 6.0 + 1e-6
    assert model.objective(near) < model.objective(x)


def test_without_time_there_is_no_root() -> None:
    model = random_cover(12, 24, 5)
    guide = Guide(model, deadline=Deadline(time.monotonic() - 1, stop=lambda: True))
    x = np.ones(model.n)
    if guide.root() is None:
        assert (guide.local_branching_optimum(x, 6.0) == x).all()
        assert guide.root() is None, "it is tried once"


def test_the_root_lp_is_charged_once() -> None:
    guide = Guide(random_cover(12, 24, 5))
    assert guide.root() is not None
    assert guide.take_setup_s() > 0
    assert guide.root() is not None
    assert guide.take_setup_s() == 0


def test_differences_are_relative_to_the_range_of_integers() -> None:
    model = milp(
        [1, 1, 1],
        [(0, [1, 1, 1], 99)],
        upper=[1.0, 10.0, 10.0],
        integer=[True, True, False],
    )
    difference = Guide(model).difference(np.array([1.0, 5.0, 5.0]), np.zeros(3))
    assert difference.tolist() == [1.0, 0.5, 0.0]

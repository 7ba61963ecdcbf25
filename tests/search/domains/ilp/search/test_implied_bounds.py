"""Implied bounds: every integer point of the model lies within them, and absent ones are found."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from search.domains.ilp.search.implied_bounds import implied_bounds
from tests.search.models import milp

INF = np.inf


def test_rows_bound_what_has_no_bound() -> None:
    model = milp(
        [1, 1], [(-INF, [2, 3], 12), (-4, [1, -1], INF)], lower=[0, 0], upper=[INF, INF]
    )
    lower, upper = implied_bounds(model)
    assert (lower.tolist(), upper.tolist()) == ([0, 0], [6, 4])


def test_bounds_pass_from_row_to_row() -> None:
    model = milp(
        [1, 1, 1],
        [(-INF, [1, 0, 0], 5), (-INF, [-2, 1, 0], 0), (-INF, [0, -1, 1], 1)],
        lower=[0, 0, 0],
        upper=[INF, INF, INF],
    )
    assert implied_bounds(model)[1].tolist() == [5, 10, 11]


def test_what_no_row_bounds_stays_open() -> None:
    model = milp([1, 1], [(1, [1, 1], INF)], lower=[0, 0], upper=[INF, INF])
    lower, upper = implied_bounds(model)
    assert lower.tolist() == [0, 0]
    assert np.isinf(upper).all()


@pytest.mark.parametrize("seed", range(8))
def test_no_point_of_the_model_is_cut_off(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [
        (-INF, rng.integers(-3, 6, 3).astype(float).tolist(), float(rng.integers(4, 15)))
        for _ in range(3)
    ]
    model = milp([1, 1, 1], rows, lower=[-2] * 3, upper=[INF] * 3)
    lower, upper = implied_bounds(model)
    for point in itertools.product(range(-2, 20), repeat=3):
        x = np.array(point, dtype=float)
        if (model.activity(x) <= model.row_upper).all():
            assert (lower <= x).all()
            assert (x <= upper).all()

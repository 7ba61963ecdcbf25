"""Exact scaling: nothing is rounded, ordinary models stay, and hopeless ones raise doubt."""

from __future__ import annotations

import numpy as np
import pytest

from solvers.feasibility import is_feasible
from solvers.scaling import scale
from solvers.types import MilpModel
from tests.solvers.models import INF, milp


def random_model(rng: np.random.Generator) -> MilpModel:
    n, m = int(rng.integers(1, 7)), int(rng.integers(1, 6))
    integer = rng.random(n) < 0.5
    powers = 10.0 ** rng.integers(-12, 13, size=m)
    rows = [
        (
            list(np.round(rng.normal(size=n), 3) * power),
            -INF if rng.random() < 0.5 else -3 * power,
            4 * power,
        )
        for power in powers
    ]
    costs = list(np.round(rng.normal(size=n), 3) * 10.0 ** int(rng.integers(-12, 13)))
    return milp(costs, rows, lower=[-2.0] * n, upper=[3.0] * n, integer=list(integer))


def test_scaling_is_exact_and_reversible() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        model = random_model(rng)
        scaled = scale(model)
        inner = scaled.model
        for factors in (scaled.columns, np.array([inner.cost_factor])):
            assert (np.frexp(factors)[0] == 0.5).all(), "powers of two"
        assert (scaled.columns[model.integrality] == 1).all()
        x = np.where(
            model.integrality, rng.integers(-2, 4, model.n), rng.normal(size=model.n)
        )
        assert (scaled.restore(scaled.enter(x)) == x).all()
        assert inner.in_user_sense(
            inner.objective(scaled.enter(x))
        ) == model.in_user_sense(model.objective(x))
        data, lower, upper = inner.author_rows()
        assert (data / scaled.columns[model.indices] == model.data).all()
        assert (lower == model.row_lower).all()
        assert (upper == model.row_upper).all()


def test_ordinary_models_stay_as_they_are() -> None:
    model = milp(
        [1, 250, 0.5],
        [([3, 1e6, 0], -INF, 1e7), ([1, 0, -1], 0, INF)],
        upper=[10, 1, INF],
        integer=[True, True, False],
    )
    scaled = scale(model)
    assert scaled.model is model
    assert scaled.doubt == ""


@pytest.mark.parametrize("power", [-12, -9, 10, 12])
def test_rows_and_objectives_come_near_one(power: int) -> None:
    unit = 10.0**power
    inner = scale(
        milp([3 * unit, 5 * unit], [([3 * unit, 5 * unit], 20 * unit, INF)], upper=[9, 9])
    ).model
    assert 0.1 < np.abs(inner.data).min() <= np.abs(inner.data).max() < 1e9
    assert np.abs(inner.c).min() > 0.1


def test_a_row_with_small_and_ordinary_coefficients_is_not_scaled_down() -> None:
    inner = scale(
        milp([1, 1], [([1, -1e10], -INF, 0)], upper=[1e9, 1], integer=[False, True])
    ).model
    assert np.abs(inner.data).min() >= 1


def test_columns_far_below_one_are_scaled_with_their_bounds() -> None:
    scaled = scale(
        milp([1, 1], [([1, 1], 1e-9, INF)], upper=[3e-9, INF], integer=[False, False])
    )
    assert (scaled.columns < 1e-8).all()
    assert 0.1 < scaled.model.row_lower[0] / scaled.model.data[0] < 4
    assert not is_feasible(scaled.model, np.zeros(2))


def test_an_epsilon_beside_ordinary_columns_scales_no_column() -> None:
    """x - y >= 1e-9 with x, y up to 1: the author's way of writing x > y."""
    scaled = scale(
        milp([1, 1], [([1, -1], 1e-9, INF)], upper=[1, 1], integer=[False, False])
    )
    assert (scaled.columns == 1).all()


@pytest.mark.parametrize(
    ("model", "word"),
    [
        (milp([1, 1], [([1e-12, 1e9], 1, INF)], upper=[1e13, 1]), "too far apart"),
        (milp([1e-9, 1e12], upper=[1, 1]), "costs"),
        (milp([1], [([1], -INF, 1e15)], upper=[INF]), "too large"),
        (milp([1], upper=[1e15]), "too large"),
    ],
)
def test_spreads_beyond_scaling_raise_doubt(model: MilpModel, word: str) -> None:
    assert word in scale(model).doubt


def test_a_coefficient_that_cannot_matter_raises_none() -> None:
    assert scale(milp([1, 1], [([1e-15, 1e6], 1, INF)], upper=[1, 1])).doubt == ""


def test_rows_with_wide_spreads_raise_doubt() -> None:
    """With coefficients 3e9 apart in a row, SCIP 10 claims an optimum of 22.6 instead of 15.6."""
    model = milp([7, 5], [([1e-10, 0.8], 2.5, INF)], upper=[1, 5])
    assert "too far apart" in scale(model).doubt
    assert scale(milp([7, 5], [([1e-8, 0.8], 2.5, INF)], upper=[1, 5])).doubt == ""

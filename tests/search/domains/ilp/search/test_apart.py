"""Rows that keep a model apart from points, against enumeration; bounds implied by rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from search.domains.ilp.search.apart import apart
from search.domains.ilp.search.implied_bounds import implied_bounds
from search.domains.ilp.solution import differing
from solvers.types import Floats, MilpModel


def model(
    *, upper: list[float], rows: list[list[float]], sides: list[float]
) -> MilpModel:
    n = len(upper)
    matrix = np.array(rows, dtype=float)
    return MilpModel(
        c=np.ones(n),
        col_lower=np.zeros(n),
        col_upper=np.array(upper),
        integrality=np.array([True] * (n - 1) + [False]),
        indptr=np.arange(0, n * len(rows) + 1, n, dtype=np.int32),
        indices=np.tile(np.arange(n, dtype=np.int32), len(rows)),
        data=matrix.ravel(),
        row_lower=np.full(len(rows), -np.inf),
        row_upper=np.array(sides),
    )


def allowed(larger: MilpModel, x: Floats) -> bool:
    """Return True if some values of the indicator columns complete x."""
    new = larger.n - len(x)
    for bits in itertools.product((0.0, 1.0), repeat=new):
        point = np.concatenate([x, bits])
        activity = larger.activity(point)
        if bool(
            np.all(activity >= larger.row_lower - 1e-9)
            and np.all(activity <= larger.row_upper + 1e-9)
        ):
            return True
    return False


@pytest.mark.parametrize("least", [1, 2, 3])
def test_a_point_is_allowed_exactly_if_enough_integers_differ(least: int) -> None:
    small = model(upper=[1, 1, 2, np.inf], rows=[[1, 1, 1, 0]], sides=[9])
    integer = np.arange(3)
    excluded = [np.array([1.0, 0, 1, 0.5]), np.array([0.0, 1, 2, 0.0])]
    larger = apart(small, excluded, implied_bounds(small), least)
    for values in itertools.product((0, 1), (0, 1), (0, 1, 2)):
        x = np.array([*values, 0.25], dtype=float)
        expected = all(differing(x, one, integer) >= least for one in excluded)
        assert allowed(larger, x) == expected, values
    assert bool((larger.c[small.n :] == 0).all()), "indicators cost nothing"


def test_rows_give_absent_bounds() -> None:
    open_ = model(upper=[np.inf, np.inf, 1], rows=[[2, 3, -1], [1, -1, 0]], sides=[11, 9])
    lower, upper = implied_bounds(open_)
    assert lower.tolist() == [0, 0, 0]
    assert upper.tolist() == [6, 4, 1]


def test_a_column_that_nothing_bounds_stays_open() -> None:
    open_ = model(upper=[np.inf, 1, 1], rows=[[0, 1, 1]], sides=[1])
    assert implied_bounds(open_)[1].tolist() == [np.inf, 1, 1]

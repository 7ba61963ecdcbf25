"""Models in integers."""

from __future__ import annotations

import numpy as np
import pytest

from solvers.integer_model import integral, why_not_integral
from tests.solvers.models import INF, milp


def test_integral_scales_exactly() -> None:
    model = milp(
        [0.25, 1], [([0.1, 0.2], 0.3, 0.1 + 0.2), ([1, 1], -INF, 2.5)], upper=[3, 3]
    )
    assert why_not_integral(model) is None
    whole = integral(model)
    assert whole.data.tolist() == [1, 2, 1, 1]
    assert (whole.row_lower[0], whole.row_upper[0], whole.row_upper[1]) == (3, 3, 2)
    assert (whole.costs.tolist(), whole.cost_scale) == ([25, 100], 100)


def test_integral_divides_large_numbers_by_their_common_divisor() -> None:
    model = milp([3e10, 2e10], [([4e12, 6e12], -INF, 9e12)], upper=[3, 3])
    whole = integral(model)
    assert (whole.data.tolist(), whole.row_upper) == ([2, 3], [4])
    assert (whole.costs.tolist(), float(whole.cost_scale)) == ([3, 2], 1e-10)


def test_whole_sides_are_not_relaxed() -> None:
    assert integral(milp([1], [([1], 75_999_993.5, INF)], upper=[1e8])).row_lower == [
        75_999_994
    ]
    assert integral(milp([1], [([1], 3e9 + 1, 3e9 + 1)], upper=[4e9])).row_lower == [
        3_000_000_001
    ]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (milp([1], integer=False), "continuous"),
        (milp([1], upper=[INF]), "bounds"),
        (milp([1], [([1 / 3], 0, 1)]), "decimal places"),
        (milp([np.pi]), "decimal places"),
        (milp([1, 1], [([1e12, 1], 0, 1)], upper=[1e9, 1]), "64 bits"),
        (milp([1e12, 1], upper=[1e9, 1]), "64 bits"),
        (milp([1], upper=[1e17]), "2^53"),
    ],
)
def test_why_not_integral_names_the_reason(model: object, why: str) -> None:
    assert why in (why_not_integral(model) or "")  # type: ignore[arg-type]

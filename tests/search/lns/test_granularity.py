"""Least difference of two objective values."""

from __future__ import annotations

import pytest

from search.lns.granularity import granularity
from tests.search.models import milp


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([2, 4, 6], 2.0),
        ([3, 5], 1.0),
        ([0.5, 1.5], 0.5),
        ([0.1234567, 1], 0.0),
        ([0, 0], 0.0),
    ],
)
def test_granularity(costs: list[float], expected: float) -> None:
    model = milp(costs, [(0, [1.0] * len(costs), 5)])
    assert granularity(model) == pytest.approx(expected)


def test_granularity_needs_whole_variables() -> None:
    assert granularity(milp([2, 4], [(0, [1, 1], 5)], integer=[True, False])) == 0.0

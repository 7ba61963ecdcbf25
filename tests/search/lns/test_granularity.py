"""Least difference of two objective values."""

from __future__ import annotations

import pytest

from search.lns.granularity import granularity
from solvers.scaling import scale
from tests.search.models import milp


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([2, 4, 6], 2.0),
        ([3, 5], 1.0),
        ([0.5, 1.5], 0.5),
        ([0.1234567, 1], 0.0),
        ([0, 0], 0.0),
        ([0.29, 0.58], 0.29),
        # The half is a step of its own, however large the costs are.
        ([5e8 + 0.5, 1e9], 0.5),
        ([1234567.0005, 1], 0.0),
    ],
)
def test_granularity(costs: list[float], expected: float) -> None:
    model = milp(costs, [(0, [1.0] * len(costs), 5)])
    assert granularity(model) == pytest.approx(expected)


@pytest.mark.parametrize("cost", [0.003, 3e9])
def test_granularity_survives_scaling(cost: float) -> None:
    """The search sees scaled models; their steps are those of the author's costs, scaled."""
    model = milp([cost, 2 * cost], [(0, [1, 1], 5)])
    scaled = scale(model).model
    assert scaled.cost_factor != 1.0
    assert granularity(scaled) == cost * scaled.cost_factor


def test_granularity_needs_whole_variables() -> None:
    assert granularity(milp([2, 4], [(0, [1, 1], 5)], integer=[True, False])) == 0.0

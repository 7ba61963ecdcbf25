"""Prices of steps are the costs after the steps."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.search.loads import plan_cost
from search.domains.sharding.search.step_prices import StepPrices, cheapest, max_without
from search.domains.sharding.search.working_plan import WorkingPlan
from tests.search.domains.sharding.conftest import Ready


@pytest.mark.parametrize("name", ["small", "two_nodes"])
def test_the_price_of_a_move_is_the_cost_after_it(
    name: str, request: pytest.FixtureRequest
) -> None:
    ready: Ready = request.getfixturevalue(name)
    items = ready.setup.items
    working = WorkingPlan(items, ready.model, ready.random_plan(), ready.limits)
    prices, loads = StepPrices(working), working.loads
    a = int(working.device[0])
    b = np.array([d for d in range(4) if d != a])
    option, at = np.full(3, working.option[0]), np.full(3, a)
    alone = loads.shards[a] == 1
    left = prices.head(at, loads.pooled[a] - prices.vector(at, option))
    joined = prices.head(b, loads.pooled[b] + prices.vector(b, option))
    columns = items.options.dim[option]
    cost, smooth = prices.price(
        a, b, 0.0 * left if alone else left, joined, loads.dims[a] - columns,
        loads.dims[b] + columns,
    )  # fmt: skip
    # The smooth cost estimates the exchange by the largest sender.
    if not prices.whole_exchange:
        assert (smooth >= cost * (1 - 1e-9)).all()
    for n, target in enumerate(b):
        moved = WorkingPlan(items, ready.model, ready.random_plan(), ready.limits)
        moved.move(0, int(target))
        fresh = plan_cost(items, ready.model, moved.plan)
        assert cost[n] == pytest.approx(StepPrices(moved).now()[0], rel=1e-9)
        assert cost[n] == pytest.approx(fresh, rel=2e-3)


def test_ties_go_to_the_smoothest_and_then_the_first() -> None:
    cost = np.array([2.0, 1.0, 1.0 + 1e-12, 1.0])
    assert cheapest(cost, np.array([0.0, 3.0, 2.0, 2.0])) == 2


def testmax_without_two_devices() -> None:
    values = np.array([5.0, 7.0, 3.0])
    assert max_without(values, 1, np.array([0, 2])).tolist() == [3.0, 5.0]
    assert max_without(values[:2], 1, np.array([0])).tolist() == [0.0]

"""Costs of one plan under every member of the ensemble."""

from __future__ import annotations

import pytest

from search.domains.sharding.search.ensemble import member_costs
from search.domains.sharding.search.loads import plan_cost
from tests.search.domains.sharding.conftest import Ready


@pytest.mark.parametrize("name", ["small", "two_nodes"])
def test_the_first_member_is_the_certified_model(
    name: str, request: pytest.FixtureRequest
) -> None:
    ready: Ready = request.getfixturevalue(name)
    plan = ready.random_plan()
    costs = member_costs(ready.models, ready.setup, plan)
    assert len(costs) == 1 + len(ready.models.ensemble)
    certified = plan_cost(ready.setup.items, ready.model, plan)
    assert costs[0] == pytest.approx(certified, rel=1e-6)
    assert len(set(costs)) == len(costs)

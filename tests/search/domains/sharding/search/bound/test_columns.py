"""The linear program over covers: its value bounds the mixture it was made of."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.bound.certificate import bound_of
from search.domains.sharding.search.bound.columns import Columns
from search.domains.sharding.search.bound.covers import Covers
from search.domains.sharding.search.bound.groups import groups_of
from search.domains.sharding.search.loads import plan_cost
from tests.search.domains.sharding.conftest import Ready


@pytest.mark.parametrize("name", ["small", "two_nodes"])
def test_the_value_is_below_the_plans_cost_and_falls_with_more_covers(
    name: str, request: pytest.FixtureRequest
) -> None:
    r: Ready = request.getfixturevalue(name)
    items, plan = r.setup.items, r.random_plan()
    groups = groups_of(items, r.model, r.setup.capacity)
    columns = Columns(items, groups)
    columns.add_plan(plan)
    first = columns.solve(60.0)
    assert first is not None
    assert first[0] <= plan_cost(items, r.model, plan) * (1 + 1e-6)
    columns.add_whole()
    second = columns.solve(60.0)
    assert second is not None
    assert second[0] <= first[0] * (1 + 1e-9)
    assert bound_of(items, groups, Covers(items), second[1]) <= second[0] * (1 + 1e-6)


def test_known_covers_are_not_added_again(small: Ready) -> None:
    items = small.setup.items
    groups = groups_of(items, small.model, small.setup.capacity)
    columns = Columns(items, groups)
    columns.add_whole()
    group = np.zeros(len(items.options), dtype=int)
    whole = [[int(option)] for option in items.whole]
    assert not columns.add_cheapest(whole, group)
    halves = [
        [int(items.options.half[o]), int(items.options.rest[o])] for o in items.whole
    ]
    assert columns.add_cheapest(halves, group)


def test_a_partial_plan_is_refused(small: Ready) -> None:
    items = small.setup.items
    columns = Columns(items, groups_of(items, small.model, small.setup.capacity))
    partial = Plan.of(items.whole[1:], np.zeros(len(items) - 1, dtype=int), "x")
    with pytest.raises(ValueError, match="expected all 10 items, got 9"):
        columns.add_plan(partial)

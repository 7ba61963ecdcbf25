"""The oracle prices options as the simulator prices table shards."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.search.oracle import members_of
from tests.search.domains.sharding.conftest import Ready, items_of


def test_a_few_devices_cost_as_among_all(two_nodes: Ready) -> None:
    plan, oracle = two_nodes.random_plan(), two_nodes.oracle
    every = oracle.compute(plan.option, plan.device)
    some = oracle.compute_some(plan.option, plan.device, np.array([3, 1]))
    assert some == pytest.approx(every[[3, 1]])


def test_a_step_waits_for_the_slowest_device(small: Ready) -> None:
    plan = small.random_plan()
    step = small.oracle.step(plan)
    assert small.oracle.cost(plan) == step.total_ms
    total = step.compute_ms + step.backward_ms + step.forward_ms
    assert total == pytest.approx(np.full(4, step.total_ms))


def test_members_of_groups_are_their_tables() -> None:
    items = items_of(64, 32, 16, together=(("t0", "t2"),))
    table, width, owner = members_of(items, items.whole[[1, 0]])
    assert table.tolist() == [1, 0, 2]
    assert width.tolist() == [32, 64, 16]
    assert owner.tolist() == [0, 1, 1]


def test_without_groups_each_option_is_one_member() -> None:
    items = items_of(64, 32)
    table, width, owner = members_of(items, items.whole)
    assert (table.tolist(), width.tolist(), owner.tolist()) == ([0, 1], [64, 32], [0, 1])

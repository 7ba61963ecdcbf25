"""Changes in place: loads stay exact, limits are respected, transfers undo each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.loads import plan_cost
from search.domains.sharding.search.working_plan import WorkingPlan
from tests.search.domains.sharding.conftest import Ready


def working_plan(ready: Ready) -> WorkingPlan:
    return WorkingPlan(ready.setup.items, ready.model, ready.random_plan(), ready.limits)


def test_costs_stay_those_of_a_fresh_plan(two_nodes: Ready) -> None:
    working, rng = working_plan(two_nodes), np.random.default_rng(0)
    options = two_nodes.setup.items.options
    for _ in range(40):
        shard = int(rng.integers(len(working.option)))
        target = int(rng.integers(4))
        if target == working.device[shard]:
            continue
        width = int(options.width[working.option[shard]])
        columns = width // 8 * 4 if rng.random() < 0.5 and width >= 8 else width
        working.transfer(shard, columns, target)
        fresh = plan_cost(two_nodes.setup.items, two_nodes.model, working.plan)
        assert working.cost == pytest.approx(fresh, rel=1e-9)


def test_a_transfer_and_its_reverse_restore_the_plan(small: Ready) -> None:
    working = working_plan(small)
    before = working.plan
    shard, source = 0, int(working.device[0])
    target = (source + 1) % 4
    columns = int(small.setup.items.options.width[working.option[shard]]) // 2
    working.transfer(shard, columns, target)
    assert len(working.option) == len(before.option) + 1
    working.transfer(len(working.option) - 1, columns, source)
    after = working.plan
    assert len(after.option) == len(before.option)
    pairs = [sorted(zip(p.option, p.device, strict=True)) for p in (before, after)]
    assert pairs[0] == pairs[1]


def test_moved_bytes_are_limited(small: Ready) -> None:
    items, plan = small.setup.items, small.random_plan()
    homes = np.append(plan.device, NONE)
    home = np.arange(len(plan.option))
    current = Plan.of(plan.option, plan.device, "current", home=home)
    size = float(items.options.weight_bytes[plan.option[0]])
    limits = replace(small.limits, moved=size, home_device=homes)
    working = WorkingPlan(items, small.model, current, limits)
    width = int(items.options.width[plan.option[0]])
    shard, target = np.array([0]), np.array([(plan.device[0] + 1) % 4])
    assert working.moves_limited
    assert working.may_move(shard, target, np.array([width])).all()
    working.move(0, int(target[0]))
    assert working.moved() == size
    others = np.arange(1, len(plan.option))
    away = (plan.device[others] + 1) % 4
    widths = items.options.width[plan.option[others]]
    assert not working.may_move(others, away, widths).any()
    assert working.may_move(shard, plan.device[:1], np.array([width])).all()

"""The certificate: below every plan for any multipliers, and floors of single options."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.bound.certificate import (
    bound_of,
    floors,
    least_compute,
    prove,
)
from search.domains.sharding.search.bound.covers import Covers
from search.domains.sharding.search.bound.groups import groups_of
from search.domains.sharding.search.bound.multipliers import even
from search.domains.sharding.search.deadlines import never
from search.domains.sharding.search.loads import Loads, plan_cost
from search.domains.sharding.search.local_search import LocalSearch
from search.domains.sharding.search.working_plan import Limits
from tests.search.domains.sharding.conftest import Make, Ready, job


def varied_plans(r: Ready, count: int) -> list[Plan]:
    """Kick random plans and improve them a little."""
    rng = np.random.default_rng(0)
    plans = []
    for seed in range(count):
        local = LocalSearch(
            r.setup.items,
            r.model,
            r.random_plan(seed),
            Limits(capacity=np.full(4, np.inf)),
        )
        for _ in range(3):
            local.kick(rng, 3)
        local.descend(lambda running=local: running.steps > 15)
        plans.append(local.plan)
    return plans


def test_any_multipliers_give_a_bound_below_every_plan(ready: Make) -> None:
    r = ready(job(25, 4, seed=5))
    items = r.setup.items
    plans = varied_plans(r, 30)
    costs = np.array([plan_cost(items, r.model, plan) for plan in plans])
    groups = groups_of(items, r.model, np.full(4, np.inf))
    start = even(items, groups, plans[0])
    joints = len(r.model.heads[0].out)
    rng = np.random.default_rng(0)
    for slope in (np.zeros(joints), np.ones(joints), rng.random(joints)):
        multipliers = replace(start, slope=slope[None])
        bound = bound_of(items, groups, Covers(items), multipliers)
        assert (bound <= costs + 1e-9).all()
    floor = floors(items, groups)
    for plan, cost in zip(plans, costs, strict=True):
        assert (floor[0, plan.option] <= cost + 1e-9).all()


@pytest.mark.parametrize("name", ["small", "two_nodes"])
def test_the_proof_is_below_every_plan_and_better_than_its_start(
    name: str, request: pytest.FixtureRequest
) -> None:
    r: Ready = request.getfixturevalue(name)
    items, plan = r.setup.items, r.random_plan()
    hasty = prove(items, r.model, r.setup.capacity, plan, stop=lambda: True)
    full = prove(items, r.model, r.setup.capacity, plan, stop=never)
    least = min(plan_cost(items, r.model, p) for p in varied_plans(r, 5))
    assert 0 < hasty.lower_bound_ms <= full.lower_bound_ms <= least * (1 + 1e-9)
    assert full.lower_bound_ms == pytest.approx(full.compute_ms + full.exchange_ms)
    assert len(full.multipliers) == (len(r.model.heads[0].out) if name == "small" else 0)


def test_forbidding_all_options_of_an_item_leaves_no_plan(small: Ready) -> None:
    items = small.setup.items
    groups = groups_of(items, small.model, small.setup.capacity)
    start = even(items, groups, small.random_plan())
    forbidden = (items.options.item == 0)[None]
    assert np.isinf(bound_of(items, groups, Covers(items), start, forbidden=forbidden))


def test_a_loaded_device_computes_at_least_the_least(small: Ready) -> None:
    items = small.setup.items
    groups = groups_of(items, small.model, small.setup.capacity)
    least = least_compute(items, groups)
    compute = Loads(items, small.model, small.random_plan()).compute
    assert 0 <= least <= compute[compute > 0].min()

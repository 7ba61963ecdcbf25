"""Local search: priced costs are real, descents never rise, limits hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from search.domains.sharding.encode.plan import Plan, fits
from search.domains.sharding.search.deadlines import never
from search.domains.sharding.search.loads import plan_cost
from search.domains.sharding.search.local_search import LocalSearch
from tests.search.domains.sharding.conftest import Make, Ready, job
from trimtab.specs.sharding import Constraints, Pin


def test_the_incremental_cost_is_the_fresh_one(ready: Make) -> None:
    r = ready(job(30, 4, seed=2))
    limits = replace(r.limits, capacity=r.setup.capacity * 3)
    local = LocalSearch(r.setup.items, r.model, r.random_plan(1), limits)
    for _ in range(12):
        step = local.best_step()
        if step is None:
            break
        step.apply()
        fresh = plan_cost(r.setup.items, r.model, local.plan)
        assert local.cost == pytest.approx(fresh, rel=1e-9)
        assert local.cost <= step.cost * (1 + 2e-3)


@pytest.mark.parametrize("name", ["small", "two_nodes"])
def test_a_descent_lowers_the_cost_and_respects_memory(
    name: str, request: pytest.FixtureRequest
) -> None:
    r: Ready = request.getfixturevalue(name)
    plan = r.random_plan()
    local = LocalSearch(r.setup.items, r.model, plan, r.limits)
    before = local.cost
    assert local.descend(never) < before
    assert fits(r.setup.items, local.plan, r.setup.capacity)
    again = LocalSearch(r.setup.items, r.model, local.plan, r.limits)
    assert again.descend(never) == pytest.approx(local.cost, rel=1e-6)


def test_pins_hold_through_descents_and_kicks(ready: Make) -> None:
    spec = job(10, 4, slack=6.0)
    pin = Pin(table=spec.tables[0].name, devices=(2,))
    r = ready(spec.model_copy(update={"constraints": Constraints(pin=(pin,))}))
    plan = r.random_plan()
    plan = Plan.of(plan.option, np.where(np.arange(10) == 0, 2, plan.device), "x")
    local = LocalSearch(r.setup.items, r.model, plan, r.limits)
    for strength in (1, 4):
        local.kick(np.random.default_rng(strength), strength)
        local.descend(never)
    assert fits(r.setup.items, local.plan, r.setup.capacity)


def test_a_stop_ends_the_descent_at_once(small: Ready) -> None:
    local = LocalSearch(small.setup.items, small.model, small.random_plan(), small.limits)
    local.descend(lambda: local.steps >= 2)
    assert local.steps == 2

"""State of a search: effort by size, the pool of plans, and reports of better plans."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.state import Effort, PlanPool
from tests.search.domains.sharding.conftest import Ready


def test_effort_falls_with_the_size_of_the_problem() -> None:
    efforts = [Effort.for_size(10, devices, None) for devices in (4, 100, 1000, 10_000)]
    assert [e.kicks for e in efforts] == [12, 1, 0, 0]
    assert [e.starts for e in efforts] == [4, 2, 2, 1]
    assert [e.fast for e in efforts] == [False, False, True, True]
    assert Effort.for_size(10, 10_000, 7).kicks == 7


def test_the_pool_ignores_plans_that_differ_in_order_only(small: Ready) -> None:
    pool = PlanPool(small.setup.items, small.model)
    plan = small.random_plan()
    pool.add(plan)
    pool.add(Plan.of(plan.option[::-1], plan.device[::-1], "reversed"))
    assert len(pool.plans) == 1


def test_the_pool_ranks_plans_by_model_cost(small: Ready) -> None:
    pool = PlanPool(small.setup.items, small.model)
    for seed in range(4):
        plan = small.random_plan(seed)
        pool.add(Plan.of(plan.option, plan.device, f"plan {seed}"))
    costs = [cost for cost, _, _ in pool.plans]
    best = pool.best(2)
    assert pool.best_cost == min(costs)
    assert best[0] is pool.plans[int(np.argmin(costs))][2]
    assert [p.source for p in pool.from_sources({"plan 3", "plan 1"})] == [
        "plan 1",
        "plan 3",
    ]


def test_only_better_plans_are_reported(small: Ready) -> None:
    state = small.state()
    reports: list[float] = []
    state.on_better = lambda plan, cost, source: reports.append(cost)
    for cost in (3.0, 2.0, 2.5, 1.0):
        state.report(small.random_plan(), cost)
    assert reports == [3.0, 2.0, 1.0]


def test_an_options_load_is_its_compute_and_its_columns_exchange(small: Ready) -> None:
    state = small.state()
    model, options = small.model, small.setup.items.options
    exchange = model.exchange.of_largest(options.dim) - model.exchange.of_largest(
        np.zeros(len(options))
    )
    assert state.option_load == pytest.approx(model.single.mean(0) + exchange)

"""Branch and bound: the optimum of tiny jobs, by either engine."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from search.domains.sharding.encode.plan import Plan, fits
from search.domains.sharding.search.bound import exact
from search.domains.sharding.search.loads import plan_cost
from tests.search.domains.sharding.conftest import Make, Ready, job
from trimtab.specs.sharding import Constraints


@pytest.fixture(scope="module")
def tiny(ready: Make) -> Ready:
    """Five unsplittable tables on two devices."""
    spec = job(5, 2, seed=4, slack=3.0)
    rules = Constraints(no_split=tuple(t.name for t in spec.tables))
    return ready(spec.model_copy(update={"constraints": rules}))


@pytest.mark.parametrize("solver", ["highs", "scip"])
def test_the_optimum_is_that_of_the_enumeration(tiny: Ready, solver: str) -> None:
    items, capacity = tiny.setup.items, tiny.setup.capacity
    best = np.inf
    for device in itertools.product(range(2), repeat=5):
        plan = Plan.of(items.whole, np.array(device), "all")
        if fits(items, plan, capacity):
            best = min(best, plan_cost(items, tiny.model, plan))
    solved = exact.solve(
        items, tiny.model, capacity, seconds=20, solver=solver, confirm=None
    )
    assert solved is not None
    assert solved.optimal
    assert solved.plan is not None
    assert fits(items, solved.plan, capacity)
    assert solved.lower_bound_ms <= best <= solved.lower_bound_ms * (1 + 5e-3)
    assert plan_cost(items, tiny.model, solved.plan) == pytest.approx(best, rel=5e-3)


def test_two_engines_must_agree(tiny: Ready) -> None:
    items, capacity = tiny.setup.items, tiny.setup.capacity
    both = exact.solve(items, tiny.model, capacity, seconds=20)
    assert both is not None
    assert both.solver == "highs and scip"
    for solver in ("highs", "scip"):
        alone = exact.solve(
            items, tiny.model, capacity, seconds=20, solver=solver, confirm=None
        )
        assert alone is not None
        assert both.lower_bound_ms <= alone.lower_bound_ms * (1 + 1e-5)


def test_only_small_jobs_on_several_devices_are_tried(tiny: Ready, ready: Make) -> None:
    assert exact.is_small(tiny.setup.items, tiny.model)
    one = ready(job(3, 1))
    assert not exact.is_small(one.setup.items, one.model)
    large = ready(job(60, 16))
    assert not exact.is_small(large.setup.items, large.model)


def test_no_time_proves_nothing(tiny: Ready) -> None:
    assert (
        exact.solve(tiny.setup.items, tiny.model, tiny.setup.capacity, seconds=0.0)
        is None
    )

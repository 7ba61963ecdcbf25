"""Polishing by the oracle never worsens a plan and respects memory, pins and the model."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.encode.plan import Plan, fits
from search.domains.sharding.search.polish import polish
from search.domains.sharding.search.working_plan import Limits
from tests.search.domains.sharding.conftest import Ready


def polished(
    ready: Ready, *, evaluations: int = 80, allowed: bool = True, **limits: object
) -> tuple[Plan, float, int]:
    bounds = Limits(**{"capacity": ready.setup.capacity, **limits})
    return polish(
        ready.setup.items,
        ready.oracle,
        ready.random_plan(),
        bounds,
        np.random.default_rng(0),
        evaluations=evaluations,
        allowed=lambda plan: allowed,
        stop=lambda: False,
    )


def test_the_cost_falls_and_is_the_oracles(small: Ready) -> None:
    plan, cost, used = polished(small)
    assert cost < small.oracle.cost(small.random_plan())
    assert cost == pytest.approx(small.oracle.cost(plan), rel=1e-9)
    assert fits(small.setup.items, plan, small.setup.capacity)
    assert used == 80
    assert plan.source == "random+oracle"


def test_rejected_plans_leave_the_start(small: Ready) -> None:
    start = small.random_plan()
    plan, cost, _ = polished(small, allowed=False)
    assert sorted(zip(plan.option, plan.device, strict=True)) == sorted(
        zip(start.option, start.device, strict=True)
    )
    assert cost == pytest.approx(small.oracle.cost(start))


def test_nothing_is_tried_when_moved_bytes_are_limited(small: Ready) -> None:
    assert polished(small, moved=0.0)[2] == 1

"""Beam search over column splits."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.search.beam import beam_search
from search.domains.sharding.search.loads import plan_cost
from tests.search.domains.sharding.conftest import Ready
from trimtab.specs.sharding import BeamOptions

OPTIONS = BeamOptions(levels=3, width=2, candidates=3, grid=5)


def test_each_level_splits_one_more_shard(small: Ready) -> None:
    items = small.setup.items
    result = beam_search(items, small.model, items.whole, small.setup.capacity, OPTIONS)
    for plan in result.plans:
        level = int(plan.source.removeprefix("beam "))
        assert len(plan.option) == len(items) + level
        columns = np.bincount(
            items.options.item[plan.option], weights=items.options.width[plan.option]
        )
        assert (columns == items.options.width[items.whole]).all()
    costs = [plan_cost(items, small.model, plan) for plan in result.plans]
    assert result.cost == pytest.approx(min(costs))
    assert result.best is result.plans[int(np.argmin(costs))]


def test_patience_ends_the_search_and_improvements_are_reported(small: Ready) -> None:
    items, reports = small.setup.items, []
    result = beam_search(
        items,
        small.model,
        items.whole,
        small.setup.capacity,
        BeamOptions(levels=10, width=2, candidates=3, grid=5),
        patience=0,
        on_best=lambda plan, cost: reports.append(cost),
    )
    assert reports == sorted(reports, reverse=True)
    assert reports[-1] == result.cost
    levels = {plan.source for plan in result.plans}
    assert len(levels) == len(reports) + 1


def test_without_room_there_is_no_best_plan(small: Ready) -> None:
    items = small.setup.items
    nothing = 0 * small.setup.capacity
    result = beam_search(items, small.model, items.whole, nothing, OPTIONS)
    assert result.best is None
    assert result.plans == ()
    assert np.isinf(result.cost)

"""The plan that fits and moves fewest bytes."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.plan import Plan, fits
from search.domains.sharding.search import repair
from search.domains.sharding.search.repair import least_moving_plan, moved_bytes
from tests.search.domains.sharding.conftest import items_of

COLUMN = 4000.0


def test_the_smallest_overflow_moves() -> None:
    items = items_of(64, 32, 16)
    home_device = np.array([0, 0, 0, NONE])
    plan = Plan.of(items.whole, np.zeros(3, dtype=int), "current", home=np.arange(3))
    capacity = np.array([100.0, 100.0]) * COLUMN
    repaired = least_moving_plan(items, plan, home_device, capacity, seconds=10)
    assert repaired is not None
    assert fits(items, repaired, capacity)
    assert moved_bytes(items, plan, home_device) == 0
    assert moved_bytes(items, repaired, home_device) == 12 * COLUMN
    columns = np.bincount(
        items.options.item[repaired.option], weights=items.options.width[repaired.option]
    )
    assert columns.tolist() == [64, 32, 16]


def test_new_tables_move_nothing() -> None:
    items = items_of(64, 32)
    home_device = np.array([0, NONE])
    plan = Plan.of(items.whole, np.array([0, 0]), "current", home=np.array([0, NONE]))
    capacity = np.array([64.0, 64.0]) * COLUMN
    repaired = least_moving_plan(items, plan, home_device, capacity, seconds=10)
    assert repaired is not None
    assert moved_bytes(items, repaired, home_device) == 0
    assert fits(items, repaired, capacity)


def test_large_or_impossible_jobs_are_not_repaired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = items_of(64)
    home_device = np.array([0, NONE])
    plan = Plan.of(items.whole, np.array([0]), "current", home=np.array([0]))
    none = np.array([8.0, 8.0]) * COLUMN
    assert least_moving_plan(items, plan, home_device, none, seconds=10) is None
    enough = none * 10
    monkeypatch.setattr(repair, "_MAX_COUNTS", 3)
    assert least_moving_plan(items, plan, home_device, enough, seconds=10) is None

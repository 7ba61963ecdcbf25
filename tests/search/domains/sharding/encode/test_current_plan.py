"""The plan in use over the options of the job: shards stay, displaced shards fill the room."""

from __future__ import annotations

import numpy as np

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.current_plan import start_plan
from search.domains.sharding.encode.items import Items
from search.domains.sharding.parse.current_plan import InUse
from tests.search.domains.sharding.conftest import items_of
from trimtab.specs.sharding import PlanShard, Table

TABLES = (Table(name="t0", rows=1000, dim=64), Table(name="t1", rows=1000, dim=64))
COLUMN = 4000.0  # bytes


def in_use(*homes: int) -> InUse:
    """t0 in as many equal shards as homes; t1 is new."""
    width = 64 // len(homes)
    shards = tuple(
        PlanShard(table="t0", offset=i * width, width=width, device=max(home, 0))
        for i, home in enumerate(homes)
    )
    return InUse(
        shards=shards,
        device=np.array(homes),
        dropped_tables=(),
        lost_devices=(),
        new_tables=("t1",),
        unavoidable_bytes=0,
        forced_bytes=0,
    )


def columns(items: Items, option: np.ndarray, device: np.ndarray) -> list[int]:
    return np.bincount(device, weights=items.options.width[option], minlength=2).tolist()


def test_homes_stay_and_new_tables_go_where_room_is() -> None:
    items = items_of(64, 64)
    plan = start_plan(TABLES, items, in_use(1), np.array([64, 64]) * COLUMN)
    assert plan.home.tolist() == [0, NONE]
    assert plan.device.tolist() == [1, 0]


def test_shards_that_fit_nowhere_are_cut() -> None:
    items = items_of(64, 64)
    plan = start_plan(TABLES, items, in_use(1, NONE), np.array([48, 80]) * COLUMN)
    assert columns(items, plan.option, plan.device) == [48, 80]
    assert (items.options.memory[plan.option] > 0).all()


def test_the_plan_may_exceed_the_memory() -> None:
    items = items_of(64, 64)
    plan = start_plan(TABLES, items, in_use(0), np.array([16, 16]) * COLUMN)
    assert sum(columns(items, plan.option, plan.device)) == 128

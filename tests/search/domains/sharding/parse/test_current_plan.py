"""The plan in use, mapped to tables, devices and constraints that have changed."""

from __future__ import annotations

from search.domains.sharding.constants import NONE
from search.domains.sharding.parse.current_plan import InUse, map_current
from trimtab.specs.sharding import (
    Constraints,
    DeviceGroup,
    Pin,
    PlanShard,
    ShardingSpec,
    Table,
)

COLUMN = 100 * 4  # bytes of a column
TABLES = (Table(name="a", rows=100, dim=64), Table(name="b", rows=100, dim=64))


def shard(table: str, offset: int, width: int, device: int) -> PlanShard:
    return PlanShard(table=table, offset=offset, width=width, device=device)


def mapped(*shards: PlanShard, **rules: object) -> InUse:
    spec = ShardingSpec(
        tables=TABLES,
        devices=(DeviceGroup(count=2, memory_gib=1),),
        constraints=Constraints(current_plan=shards, **rules),
    )
    in_use = map_current(spec.tables, spec)
    assert in_use is not None
    return in_use


def test_none_without_a_plan() -> None:
    spec = ShardingSpec(tables=TABLES, devices=(DeviceGroup(count=2, memory_gib=1),))
    assert map_current(TABLES, spec) is None


def test_gone_tables_lost_devices_and_new_tables_are_listed() -> None:
    in_use = mapped(shard("a", 0, 32, 0), shard("a", 32, 32, 5), shard("old", 0, 8, 1))
    assert in_use.dropped_tables == ("old",)
    assert in_use.lost_devices == (5,)
    assert in_use.new_tables == ("b",)
    assert in_use.device.tolist() == [0, NONE]
    assert in_use.unavoidable_bytes == in_use.forced_bytes == 32 * COLUMN


def test_unsplittable_tables_are_joined_on_the_busiest_device() -> None:
    in_use = mapped(shard("a", 0, 16, 0), shard("a", 16, 48, 1), no_split=("a",))
    assert [(s.offset, s.width) for s in in_use.shards] == [(0, 64)]
    assert in_use.device.tolist() == [1]
    assert in_use.unavoidable_bytes == 0
    assert in_use.forced_bytes == 16 * COLUMN


def test_narrow_shards_are_joined_with_their_neighbours() -> None:
    in_use = mapped(
        shard("a", 0, 16, 0),
        shard("a", 16, 16, 1),
        shard("a", 32, 32, 1),
        min_shard_dim=32,
    )
    assert [(s.offset, s.width) for s in in_use.shards] == [(0, 32), (32, 32)]
    assert in_use.device.tolist() == [0, 1]
    assert in_use.forced_bytes == 16 * COLUMN


def test_a_pin_takes_the_home_and_counts_as_unavoidable() -> None:
    in_use = mapped(shard("a", 0, 64, 0), pin=(Pin(table="a", devices=(1,)),))
    assert in_use.device.tolist() == [NONE]
    assert in_use.unavoidable_bytes == 64 * COLUMN


def test_the_budget_is_negative_when_joining_alone_exceeds_the_limit() -> None:
    in_use = mapped(shard("a", 0, 32, 0), shard("a", 32, 32, 1), no_split=("a",))
    assert in_use.budget(100 * COLUMN) == 68 * COLUMN
    assert in_use.budget(10 * COLUMN) == -22 * COLUMN

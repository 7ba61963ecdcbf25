"""Differences of two plans: moved columns, new and dropped tables, as text."""

from __future__ import annotations

from search.domains.sharding.produce.diff import diff_plans, to_text
from trimtab.specs.sharding import PlanShard, Table

TABLES = (Table(name="a", rows=2**20, dim=64), Table(name="b", rows=2**20, dim=64))


def shard(table: str, offset: int, width: int, device: int) -> PlanShard:
    return PlanShard(table=table, offset=offset, width=width, device=device)


def test_a_column_moves_when_its_device_changes() -> None:
    old = [shard("a", 0, 32, 0), shard("a", 32, 32, 1), shard("b", 0, 64, 0)]
    new = [shard("a", 0, 48, 0), shard("a", 48, 16, 1), shard("b", 0, 64, 0)]
    diff = diff_plans(TABLES, old, new)
    (change,) = diff.changes
    assert (change.table, change.moved_columns) == ("a", 16)
    assert change.moved_bytes == diff.moved_bytes == 16 * 2**20 * 4
    assert (change.old_shards, change.new_shards) == (2, 2)
    assert diff.unchanged == 1


def test_cutting_a_shard_in_place_changes_nothing() -> None:
    old = [shard("a", 0, 64, 0)]
    new = [shard("a", 0, 32, 0), shard("a", 32, 32, 0)]
    assert diff_plans(TABLES[:1], old, new).changes == ()


def test_new_and_dropped_tables_move_nothing() -> None:
    old = [shard("a", 0, 64, 0), shard("old", 0, 8, 1)]
    new = [shard("a", 0, 64, 0), shard("b", 0, 64, 1)]
    diff = diff_plans(TABLES, old, new)
    assert diff.moved_bytes == 0
    assert diff.dropped == ("old",)
    assert [(c.table, c.old_shards, c.new_shards) for c in diff.changes] == [("b", 0, 1)]
    text = to_text(diff)
    assert "0.000 GiB of weights move; 1 tables stay, 1 change" in text
    assert "b: new; shards 0 -> 1" in text
    assert "no longer tables of this job: old" in text


def test_long_lists_are_cut() -> None:
    tables = [Table(name=f"t{i}", rows=10, dim=4) for i in range(300)]
    old = [shard(t.name, 0, 4, 0) for t in tables]
    new = [shard(t.name, 0, 4, 1) for t in tables]
    assert "  ... and 100 more" in to_text(diff_plans(tables, old, new))

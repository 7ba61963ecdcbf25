"""Plans in use are checked, and mapped to changed tables, devices and constraints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.cases.sharding.jobs import devices, run, shard, spec_of, tables
from trimtab.specs.sharding import ShardingPlan, ShardingSpec

COLUMN = 100_000 * 4 / 2**30  # GiB of one column of a table of `tables()`


def body(
    current: list[dict[str, Any]], *, count: int = 2, names: int = 4, **rules: Any
) -> dict[str, Any]:
    return {
        "tables": tables(names),
        "devices": devices(count),
        "constraints": {"current_plan": current, **rules},
    }


def moved_gib(plan: ShardingPlan, current: list[dict[str, Any]]) -> float:
    before = {
        (s["table"], c): s["device"]
        for s in current
        for c in range(s["offset"], s["offset"] + s["width"])
    }
    rows = {t.name: t.rows * t.dtype.bytes for t in plan.tables}
    moved = 0
    for s in plan.shards:
        for column in range(s.offset, s.offset + s.width):
            moved += rows[s.table] * (before.get((s.table, column), s.device) != s.device)
    return moved / 2**30


def test_the_reported_overlap_is_refused() -> None:
    with pytest.raises(
        ValidationError,
        match="columns 0 to 31 of table 't0' are listed twice, on devices 0 and 1",
    ):
        ShardingSpec.model_validate_json(json.dumps(spec_of("current_plan_overlaps")))


@pytest.mark.parametrize(
    ("current", "message"),
    [
        ([shard("t0", 0, 32, 0)], "no shard has columns 32 to 63"),
        ([shard("t0", 32, 32, 0)], "no shard has columns 0 to 31"),
        (
            [shard("t0", 0, 40, 0), shard("t0", 32, 32, 1)],
            "columns 32 to 39 of table 't0' are in two shards",
        ),
        (
            [shard("t0", 0, 64, 0), shard("t0", 16, 16, 1)],
            "columns 16 to 31 of table 't0' are in two shards",
        ),
        ([shard("t0", 0, 64, 0), shard("t0", 0, 64, 0)], "listed twice"),
        ([shard("t0", 0, 128, 0)], "whose width has changed"),
        ([shard("t0", 0, 30, 0), shard("t0", 30, 34, 0)], "multiples of 4"),
        ([shard("gone", 0, 8, 0), shard("gone", 4, 8, 1)], "none of its 1 tables"),
        (
            [shard("t0", 0, 64, 0), shard("gone", 0, 8, 0), shard("gone", 4, 8, 1)],
            "columns 4 to 7 of table 'gone'",
        ),
        ([shard("t", 0, 64, 0)], "none of its 1 tables"),
    ],
)
def test_incomplete_or_overlapping_plans_are_refused(
    current: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        ShardingSpec.model_validate_json(json.dumps(body(current)))
    assert message in str(caught.value)


def test_fewer_devices_move_only_what_must(tmp_path: Path) -> None:
    current = [shard(f"t{i}", 0, 64, i) for i in range(4)]
    result, plan = run(body(current, count=2, max_moved_gib=0.0), tmp_path)
    assert plan is not None
    assert result.verification.status.value == "valid"
    assert moved_gib(plan, current) == pytest.approx(128 * COLUMN)
    summary = result.summary["current_plan"]
    assert summary["lost_devices"] == [2, 3]
    assert summary["must_move_gib"] == summary["moved_gib"] == pytest.approx(128 * COLUMN)
    assert {s.device for s in plan.shards if s.table in ("t0", "t1")} == {0, 1}


@pytest.mark.parametrize("limit", [100 * COLUMN, 160 * COLUMN, 300 * COLUMN])
def test_forced_bytes_count_toward_the_limit(tmp_path: Path, limit: float) -> None:
    current = [
        shard("t0", 0, 64, 0),
        shard("t1", 0, 64, 0),
        shard("t2", 0, 64, 0),
        shard("t3", 0, 64, 3),
    ]
    result, plan = run(body(current, count=3, max_moved_gib=limit), tmp_path)
    assert plan is not None
    assert result.verification.status.value == "valid"
    assert moved_gib(plan, current) * (1 + 1e-9) >= 64 * COLUMN
    assert moved_gib(plan, current) <= limit * (1 + 1e-9)


def test_tables_that_are_gone_or_new_are_named(tmp_path: Path) -> None:
    current = [
        shard("t0", 0, 32, 0),
        shard("t0", 32, 32, 1),
        shard("old", 0, 12, 0),
        shard("older", 0, 8, 5),
    ]
    result, plan = run(body(current, names=3, max_moved_gib=0.0), tmp_path)
    assert plan is not None
    summary = result.summary["current_plan"]
    assert summary["dropped_tables"] == ["old", "older"]
    assert summary["lost_devices"] == [5]
    assert summary["new_tables"] == ["t1", "t2"]
    assert moved_gib(plan, current) == 0
    assert (
        "no longer tables of this job: old, older" in (tmp_path / "diff.txt").read_text()
    )


@pytest.mark.parametrize(
    "rules",
    [
        {"no_split": ["t0"]},
        {"min_shard_dim": 64},
        {"min_shard_dim": 32},
        {"together": [["t0", "t1"]]},
        {"pin": [{"table": "t0", "devices": [1]}]},
    ],
)
def test_constraints_that_came_later_hold(tmp_path: Path, rules: dict[str, Any]) -> None:
    """The plan in use violates each rule: plan without a limit, and within the bytes it needs."""
    current = [shard("t0", 0, 16, 0), shard("t0", 16, 48, 1), shard("t1", 0, 64, 0)]
    for limit in (None, 64 * COLUMN):
        extra = rules if limit is None else {**rules, "max_moved_gib": limit}
        result, plan = run(body(current, **extra), tmp_path / str(limit))
        assert plan is not None, result.termination
        assert result.verification.status.value == "valid"
        assert limit is None or moved_gib(plan, current) <= limit * (1 + 1e-9)


def test_joining_more_than_the_limit_says_what_it_takes(tmp_path: Path) -> None:
    current = [shard("t0", 0, 32, 0), shard("t0", 32, 32, 1)]
    result, plan = run(body(current, no_split=["t0"], max_moved_gib=0.0), tmp_path)
    assert plan is None
    assert result.termination.reason.value == "no_solution_found"
    assert "max_moved_gib" in result.termination.detail
    assert f"{32 * COLUMN:.3f} GiB of current_plan must" in result.termination.detail


def test_a_plan_that_no_longer_fits_is_repaired_within_the_limit(tmp_path: Path) -> None:
    """Three tables on a device that now holds two: one has to leave, and may."""
    current = [
        shard("t0", 0, 64, 0),
        shard("t1", 0, 64, 0),
        shard("t2", 0, 64, 0),
        shard("t3", 0, 64, 1),
    ]
    spec = body(current, max_moved_gib=70 * COLUMN)
    spec |= {
        "memory_model": "weights",
        "devices": devices(2, memory_gib=2.2 * 64 * COLUMN),
    }
    result, plan = run(spec, tmp_path)
    assert plan is not None, result.termination
    assert result.verification.status.value == "valid"
    assert moved_gib(plan, current) <= 70 * COLUMN

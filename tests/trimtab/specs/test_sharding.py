"""Bad jobs are refused at the door, each with its field, its value and what to change."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from trimtab.specs.sharding import ShardingSpec

GOOD: dict[str, Any] = {
    "tables": [
        {"name": "a", "rows": 1000, "dim": 64},
        {"name": "b", "rows": 50, "dim": 16, "pooling": 4},
    ],
    "devices": [{"count": 2, "memory_gib": 16}],
}


def changed(**fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(GOOD), **fields}


def table(**fields: Any) -> dict[str, Any]:
    return changed(tables=[{**GOOD["tables"][0], **fields}, GOOD["tables"][1]])


def rules(**fields: Any) -> dict[str, Any]:
    return changed(constraints=fields)


def test_the_good_one_is_good() -> None:
    assert ShardingSpec.model_validate(GOOD).device_count == 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (table(rows=-1), "rows"),
        (table(rows=2**41), "rows"),
        (table(dim=6), "multiple of 4"),
        (table(dim=0), "dim"),
        (table(pooling=0), "pooling"),
        (table(pooling=float("nan")), "pooling"),
        (
            table(access={"type": "zipf", "alpha": float("nan"), "active_rows": 5}),
            "alpha",
        ),
        (table(access={"type": "reuse", "bins": [0.5] * 17}), "sum of 8.5"),
        (table(access={"type": "reuse", "bins": [1.0]}), "17"),
        (table(access={"type": "guess"}), "zipf"),
        (table(name="b"), "'b'"),
        (table(name=""), "name"),
        (table(rows=2**38, dim=1024), "narrowest"),
        (changed(tables=[]), "exactly one of"),
        (
            changed(
                tables=[{"name": str(i), "rows": 1, "dim": 4} for i in range(10_001)]
            ),
            "10000",
        ),
        (changed(devices=[]), "devices"),
        (changed(devices=[{"count": 0, "memory_gib": 1}]), "count"),
        (changed(devices=[{"count": 4096, "memory_gib": 1}] * 2), "at most 4096"),
        (changed(fabric={"devices_per_node": 3}), "expected a divisor"),
        (changed(optimiser="sgd"), "optimiser"),
        (rules(pin=[{"table": "zz", "devices": [0]}]), "'zz'"),
        (rules(pin=[{"table": "a", "devices": [2]}]), "devices are 0 .. 1"),
        (rules(pin=[{"table": "a", "devices": [0]}] * 2), "pinned twice"),
        (rules(together=[["a", "b"], ["b", "a"]]), "named twice"),
        (
            rules(
                together=[["a", "b"]],
                pin=[{"table": "a", "devices": [0]}, {"table": "b", "devices": [1]}],
            ),
            "contradict",
        ),
        (
            rules(current_plan=[{"table": "a", "offset": 0, "width": 32, "device": 0}]),
            "columns 32 to 63",
        ),
        (rules(max_moved_gib=1.0), "current_plan"),
    ],
)
def test_bad_ones_are_refused(body: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ShardingSpec.model_validate(body)
    assert expected in str(caught.value)

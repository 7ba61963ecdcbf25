"""The independent check: each kind of fault is detected, and the cost is computed again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from search.domains.sharding.encode.items import shard_bytes
from search.domains.sharding.encode.shards import to_shards
from search.domains.sharding.parse.problem import ShardingProblem
from search.domains.sharding.verify import oracle_ms, shard_memory, verify_plan
from tests.search.domains.sharding.conftest import Ready
from trimtab.results import VerificationStatus
from trimtab.specs.sharding import (
    Constraints,
    MemoryModel,
    Optimizer,
    Pin,
    PlanShard,
)


def valid(small: Ready) -> tuple[PlanShard, ...]:
    return to_shards(small.setup, small.random_plan())


def with_rules(small: Ready, **rules: object) -> ShardingProblem:
    spec = small.spec.model_copy(update={"constraints": Constraints(**rules)})
    return replace(small.problem, spec=spec)


def test_the_claimed_cost_is_confirmed(small: Ready) -> None:
    shards = valid(small)
    cost = small.oracle.cost(small.random_plan())
    assert oracle_ms(small.problem, shards) == pytest.approx(cost, rel=1e-9)
    assert verify_plan(small.problem, shards, cost).status is VerificationStatus.VALID
    wrong = verify_plan(small.problem, shards, cost * 1.001)
    assert wrong.status is VerificationStatus.INVALID
    assert "the search claimed" in wrong.detail


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"offset": 4}, "twice or not at all"),
        ({"device": 99}, "expected devices 0 .. 3, got 99"),
        ({"width": 6}, "multiples of 4, got 6"),
        ({"table": "x"}, "unknown table 'x'"),
    ],
)
def test_faults_of_a_shard_are_named(
    small: Ready, change: dict[str, object], fault: str
) -> None:
    first, *others = valid(small)
    checked = verify_plan(
        small.problem, (first.model_copy(update=change), *others), claimed_ms=1.0
    )
    assert checked.status is VerificationStatus.INVALID
    assert fault in checked.detail


def test_missing_columns_are_a_fault(small: Ready) -> None:
    assert (
        "columns are placed" in verify_plan(small.problem, valid(small)[1:], 1.0).detail
    )


def test_memory_is_counted(small: Ready) -> None:
    group = small.spec.devices[0].model_copy(update={"memory_gib": 0.5})
    spec = small.spec.model_copy(update={"devices": (group,)})
    checked = verify_plan(replace(small.problem, spec=spec), valid(small), 1.0)
    assert "GiB of 0.500 GiB" in checked.detail


def test_each_constraint_is_checked(small: Ready) -> None:
    shards = valid(small)
    where = {s.table: s.device for s in shards}
    name = shards[0].table
    apart = next(t for t in where if where[t] != where[name])
    elsewhere = (where[name] + 1) % 4
    current = tuple(s.model_copy(update={"device": (s.device + 1) % 4}) for s in shards)
    for rules, fault in (
        ({"pin": (Pin(table=name, devices=(elsewhere,)),)}, "pin: table"),
        ({"together": ((name, apart),)}, "together: tables"),
        ({"current_plan": current, "max_moved_gib": 0.0}, "max_moved_gib:"),
    ):
        checked = verify_plan(with_rules(small, **rules), shards, 1.0)
        assert fault in checked.detail
    half = shards[0].width // 2
    split = (
        shards[0].model_copy(update={"width": half}),
        shards[0].model_copy(update={"offset": half, "width": shards[0].width - half}),
        *shards[1:],
    )
    for rules, fault in (
        ({"no_split": (name,)}, "no_split: table"),
        ({"min_shard_dim": 64}, "min_shard_dim: table"),
    ):
        assert fault in verify_plan(with_rules(small, **rules), split, 1.0).detail


@pytest.mark.parametrize("optimizer", Optimizer)
@pytest.mark.parametrize("memory_model", MemoryModel)
def test_memory_agrees_with_the_search(
    small: Ready, optimizer: Optimizer, memory_model: MemoryModel
) -> None:
    spec = small.spec.model_copy(
        update={"optimizer": optimizer, "memory_model": memory_model}
    )
    arrays = replace(small.setup.arrays, optimizer=optimizer)
    for i, table in enumerate(small.problem.tables):
        (searched,) = shard_bytes(arrays, np.array([i]), np.array([16]), memory_model)
        assert shard_memory(table, 16, spec) == pytest.approx(searched)

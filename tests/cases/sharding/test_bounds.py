"""Bounds are below every plan and close to the best, also for indivisible tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.domains.sharding.search.bound import exact
from search.domains.sharding.search.bound.certificate import prove
from search.domains.sharding.search.infeasible import prove_infeasible
from search.domains.sharding.search.instance import Instance, search_instance
from search.domains.sharding.search.loads import plan_cost
from search.domains.sharding.search.packing import pack
from search.domains.sharding.search.phases import NothingFits
from tests.cases.sharding.exhaustive import Job, every_plan, random_spec, ready
from tests.cases.sharding.jobs import case, models, run
from trimtab.specs.sharding import (
    Constraints,
    DeviceGroup,
    Fabric,
    Hardware,
    MemoryModel,
    Pin,
    ShardingSpec,
    Table,
)


@pytest.mark.parametrize(
    ("name", "most"), [("guide_example", 0.15), ("unequal_devices", 0.20)]
)
def test_cases_have_a_small_gap_without_branch_and_bound(
    name: str, most: float, tmp_path: Path
) -> None:
    result, _ = run(case(name, proof_seconds=0.0), tmp_path)
    assert result.summary["certificate"]["gap"] <= most


def tables(count: int, dim: int = 64, **more: object) -> tuple[Table, ...]:
    return tuple(
        Table(name=f"t{i}", rows=500_000 * (1 + i % 5), dim=dim, pooling=4, **more)
        for i in range(count)
    )


def nodes(per_node: int) -> Fabric:
    return Fabric(devices_per_node=per_node, inter_gb_s=12.5)


def group(count: int, hardware: Hardware = Hardware.A100) -> DeviceGroup:
    return DeviceGroup(count=count, memory_gib=60, hardware=hardware)


SISTERS = {
    "unsplit tables that do not share out": ShardingSpec(
        tables=tables(18, 128),
        devices=(group(16),),
        fabric=nodes(8),
        constraints=Constraints(no_split=tuple(f"t{i}" for i in range(18))),
    ),
    "a group on one device": ShardingSpec(
        tables=tables(10),
        devices=(group(16),),
        fabric=nodes(8),
        constraints=Constraints(together=(("t0", "t1", "t2", "t3"),)),
    ),
    "tables pinned to one node": ShardingSpec(
        tables=tables(12),
        devices=(group(8),),
        fabric=nodes(4),
        constraints=Constraints(
            pin=tuple(Pin(table=f"t{i}", devices=(0, 1, 2, 3)) for i in range(10))
        ),
    ),
    "wide narrowest shards": ShardingSpec(
        tables=tables(9),
        devices=(group(8),),
        fabric=nodes(4),
        constraints=Constraints(min_shard_dim=64),
    ),
    "three kinds of devices": ShardingSpec(
        tables=tables(20),
        devices=(group(2, Hardware.H100), group(2), group(2, Hardware.V100)),
    ),
    "nodes of different kinds": ShardingSpec(
        tables=tables(24),
        devices=(group(4, Hardware.H100), group(4, Hardware.V100)),
        fabric=Fabric(devices_per_node=4),
    ),
}


@pytest.mark.parametrize("name", SISTERS)
def test_sisters_have_a_small_gap_without_branch_and_bound(
    name: str, tmp_path: Path
) -> None:
    spec = SISTERS[name].model_copy(
        update={"proof_seconds": 0.0, "memory_model": MemoryModel.WEIGHTS}
    )
    result, _ = run(spec, tmp_path)
    assert result.summary["certificate"]["gap"] <= 0.2


def searched(job: Job):  # type: ignore[no-untyped-def]
    instance = Instance.of(job.spec, job.setup, models())
    return search_instance(instance, np.random.default_rng(0))


def check(index: int) -> str:
    """Compare proofs and plans of one random small job with all its plans."""
    rng = np.random.default_rng([14, index])
    try:
        spec = random_spec(rng)
    except ValueError:
        return "refused"
    job = ready(spec, models())
    costs = every_plan(job)
    if costs is None:
        return "too many plans"
    items, capacity = job.setup.items, job.setup.capacity
    if prove_infeasible(job.setup) is not None:
        assert not len(costs), "proved infeasible by counting"
        return "infeasible by counting"
    assert pack(items, capacity, seconds=30)[1] is not bool(len(costs)), (
        "branch and bound decides whether anything fits"
    )
    try:
        result = searched(job)
    except NothingFits:
        assert not len(costs)
        return "infeasible by packing"
    assert result is not None, "a plan exists"
    best = float(costs.min())
    # Two shards of a table on a device are not enumerated; the model may price them lower.
    best = min(best, result.model_best_ms)
    for stop in (lambda: False, lambda: True):
        assert prove(
            items, job.model, capacity, result.plan, stop=stop
        ).lower_bound_ms <= best * (1 + 1e-9)
    if index % 4 == 0 and exact.is_small(items, job.model):
        solved = exact.solve(items, job.model, capacity, seconds=5)
        if solved is not None:
            assert solved.lower_bound_ms <= best * (1 + 2e-5)
            if solved.optimal:
                assert solved.plan is not None
                assert plan_cost(items, job.model, solved.plan) <= best * (1 + 5e-3)
    return "compared"


def test_bounds_and_infeasibility_against_every_plan(scale: float) -> None:
    labels = [check(index) for index in range(max(120, int(2_000 * scale)))]
    assert labels.count("compared") >= 30
    assert (
        labels.count("infeasible by counting") + labels.count("infeasible by packing")
        >= 10
    )

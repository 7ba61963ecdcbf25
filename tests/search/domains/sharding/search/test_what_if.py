"""Plans for other numbers of devices."""

from __future__ import annotations

import numpy as np

from search.domains.sharding.search.deadlines import never
from search.domains.sharding.search.what_if import what_if, with_devices
from tests.search.domains.sharding.conftest import Make, job
from trimtab.specs.sharding import (
    Constraints,
    DeviceGroup,
    Fabric,
    Hardware,
    Pin,
    PlanShard,
)


def test_devices_are_those_of_the_first_group() -> None:
    groups = (
        DeviceGroup(count=2, memory_gib=3, hardware=Hardware.H100),
        DeviceGroup(count=2, memory_gib=5),
    )
    spec = with_devices(job(4, 4, devices=groups, what_if=(3,)), 3)
    assert not isinstance(spec, str)
    (group,) = spec.devices
    assert (group.count, group.memory_gib, group.hardware) == (3, 3, Hardware.H100)
    assert spec.what_if == ()


def test_impossible_numbers_have_a_reason() -> None:
    nodes = job(4, 4, fabric=Fabric(devices_per_node=2))
    assert with_devices(nodes, 5) == "5 devices are not whole nodes of 2"
    assert not isinstance(with_devices(nodes, 1), str)
    spec = job(4, 4)
    rules = Constraints(pin=(Pin(table=spec.tables[0].name, devices=(3,)),))
    pinned = spec.model_copy(update={"constraints": rules})
    assert with_devices(pinned, 3) == "a table is pinned to a device beyond 2"


def test_the_plan_in_use_does_not_bind_a_what_if() -> None:
    spec = job(1, 2)
    table = spec.tables[0]
    shard = PlanShard(table=table.name, offset=0, width=table.dim, device=0)
    rules = Constraints(current_plan=(shard,), max_moved_gib=0.0)
    other = with_devices(spec.model_copy(update={"constraints": rules}), 1)
    assert not isinstance(other, str)
    assert other.constraints.current_plan == ()
    assert other.constraints.max_moved_gib is None


def test_rows_have_costs_or_reasons(ready: Make) -> None:
    r = ready(job(4, 4, slack=2.5, what_if=(1, 3), kicks=0))
    rng = np.random.default_rng(0)
    none, three = what_if(r.problem, r.setup.arrays, r.models, rng, never)
    assert none["devices"] == 1
    assert none["cost_ms"] is None
    assert "are missing" in none["note"]
    assert three["cost_ms"] > 0
    assert 0 <= three["gap"] < 1

"""The drawing of a plan."""

from __future__ import annotations

from xml.etree import ElementTree

from search.domains.sharding.produce.picture import draw_plan
from trimtab.specs.sharding import DeviceLoad, ShardingPlan


def plan(devices: int) -> ShardingPlan:
    loads = tuple(
        DeviceLoad(
            device=d,
            compute_ms=float(d + 1),
            forward_ms=0.5,
            backward_ms=0.5,
            memory_bytes=2**30,
            memory_limit_bytes=2**31,
            dim=64,
            shards=1,
        )
        for d in range(devices)
    )
    return ShardingPlan(
        cost_ms=9.0,
        global_batch=8,
        devices=loads,
        devices_per_node=devices,
        shards=(),
        tables=(),
    )


def test_every_device_has_a_row() -> None:
    svg = draw_plan(plan(3))
    ElementTree.fromstring(svg)
    assert all(f"device {d}" in svg for d in range(3))
    assert "1.00 / 2.0 GiB" in svg


def test_of_many_devices_the_slowest_are_drawn() -> None:
    svg = draw_plan(plan(70))
    assert ">device 69<" in svg
    assert ">device 5<" not in svg

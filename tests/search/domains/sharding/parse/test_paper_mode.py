"""NeuroShard's published networks apply to one setting; each deviation is named."""

from __future__ import annotations

import pytest

from search.domains.sharding.parse.paper_mode import check_paper_mode, paper_mode_faults
from search.types import InvalidInput
from trimtab.specs.sharding import (
    Constraints,
    DeviceGroup,
    Fabric,
    Hardware,
    Pin,
    ShardingSpec,
    Table,
)

TABLES = (Table(name="a", rows=10, dim=8), Table(name="b", rows=10, dim=8))
FOUR = (DeviceGroup(count=4, memory_gib=1),)


def spec(**more: object) -> ShardingSpec:
    return ShardingSpec(**{"tables": TABLES, "devices": FOUR, **more})


def test_the_published_setting_has_no_fault() -> None:
    check_paper_mode(spec(), TABLES)
    check_paper_mode(spec(devices=(DeviceGroup(count=8, memory_gib=1),)), TABLES)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"devices": (DeviceGroup(count=3, memory_gib=1),)}, "devices"),
        (
            {
                "devices": (
                    DeviceGroup(count=2, memory_gib=1),
                    DeviceGroup(count=2, memory_gib=1, hardware=Hardware.V100),
                )
            },
            "devices",
        ),
        ({"global_batch": 1024}, "global_batch"),
        ({"fabric": Fabric(devices_per_node=2)}, "fabric.devices_per_node"),
        (
            {"constraints": Constraints(pin=(Pin(table="a", devices=(0,)),))},
            "constraints",
        ),
        ({"tables": (Table(name="a", rows=10, dim=8, features=2),)}, "tables"),
    ],
)
def test_each_deviation_is_named(more: dict[str, object], field: str) -> None:
    job = spec(**more)
    (fault,) = paper_mode_faults(job, job.tables)
    assert fault.startswith(f"{field}: expected")
    with pytest.raises(InvalidInput, match="use method 'trimtab'"):
        check_paper_mode(job, job.tables)

"""`python -m workers.bench sharding scale`: time, memory and gap of large jobs, one core."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from typing import Any

import numpy as np

from cost_models.sharding.generator import meta_like, nvidia_synthetic
from search.domains.sharding.search.models import Models
from trimtab.specs.sharding import (
    DeviceGroup,
    Fabric,
    MemoryModel,
    Optimizer,
    ShardingSpec,
    Table,
)
from workers.bench.sharding.planners import ours

# name → (tables, devices, GiB of tables a device, devices per node, goal in seconds)
_CASES = (
    ("100 tables, 8 devices", 100, 8, 64.0, 8, 0.5),
    ("1,000 tables, 128 devices", 1_000, 128, 64.0, 8, 5.0),
    ("colossal, 512 devices", "colossal", 512, 64.0, 8, 20.0),
)


def run(models: Models) -> Iterator[dict[str, Any]]:
    """Yield one line for each case."""
    for name, source, devices, memory_gib, per_node, goal_s in _CASES:
        planned = ours(job(source, devices, memory_gib, per_node), models)
        yield {
            "case": name,
            "cost_ms": planned.cost_ms,
            "cpu_s": round(planned.seconds, 3),
            "goal_s": goal_s,
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            **(planned.extra or {}),
        }


def job(
    source: str | int, devices: int, memory_gib: float, per_node: int
) -> ShardingSpec:
    """Return a job: `source` tables like Meta's, or NVIDIA's model of that name."""
    tables: list[Table]
    tables = (
        meta_like(source, np.random.default_rng(5))
        if isinstance(source, int)
        else nvidia_synthetic(source)
    )
    return ShardingSpec(
        tables=tuple(tables),
        devices=(DeviceGroup(count=devices, memory_gib=memory_gib),),
        fabric=Fabric(devices_per_node=per_node),
        optimizer=Optimizer.SGD,
        memory_model=MemoryModel.WEIGHTS,
    )

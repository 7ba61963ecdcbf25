"""Every phase of the search looks at the clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cost_models.sharding.generator import meta_like
from tests.cases.sharding.jobs import run
from trimtab.results import Incumbent, Limit, Reason
from trimtab.specs.sharding import (
    DeviceGroup,
    Fabric,
    MemoryModel,
    Optimizer,
    ShardingSpec,
)


class Ticking:
    """A budget whose clock advances by a second per look: an extremely busy machine."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds
        self.looked_after = 0
        self.limit: Limit | None = None

    def __call__(self, best: Incumbent | None) -> bool:
        if self.remaining_s() <= 0:
            self.looked_after += 1
            self.limit = Limit.TIME
        return self.limit is not None

    def remaining_s(self) -> float:
        self.left -= 1.0
        return max(0.0, self.left)


def large(tables: int, devices: int, **more: object) -> ShardingSpec:
    return ShardingSpec(
        tables=tuple(meta_like(tables, np.random.default_rng(5))),
        devices=(DeviceGroup(count=devices, memory_gib=64),),
        fabric=Fabric(devices_per_node=8),
        optimizer=Optimizer.SGD,
        memory_model=MemoryModel.WEIGHTS,
        **more,
    )


@pytest.mark.parametrize("seconds", [1.0, 20.0, 60.0, 200.0])
def test_even_the_shortest_budget_gives_a_checked_plan(
    seconds: float, tmp_path: Path
) -> None:
    clock = Ticking(seconds)
    result, plan = run(large(500, 128), tmp_path, stop=clock)
    assert plan is not None
    assert result.termination.reason in (Reason.FEASIBLE, Reason.COMPLETED)
    certificate = result.summary["certificate"]
    assert 0 < certificate["lower_bound_ms"] <= certificate["model_ms"]
    assert clock.looked_after < 60, "after the deadline, every phase ends soon"


def test_more_time_is_used(tmp_path: Path) -> None:
    short, _ = run(large(60, 16), tmp_path, stop=Ticking(3.0))
    whole, _ = run(large(60, 16), tmp_path)
    assert whole.objective <= short.objective
    assert whole.summary["search"]["local_steps"] > short.summary["search"]["local_steps"]

"""Every phase looks at the clock, and what is kept for the check and the proof grows with the job."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cost_models.sharding.generator import meta_like
from search.domains.sharding.search.deadlines import Until, deadlines, seconds_left
from tests.cases.sharding.jobs import run
from trimtab.results import Incumbent, Limit, Reason
from trimtab.specs.sharding import DeviceGroup, Fabric, MemoryModel, Optimizer, ShardingSpec


class Ticking:
    """A budget whose clock goes on by a second each time anything looks at it: a machine as busy as can be."""

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
def test_a_plan_that_is_checked_comes_however_soon_the_time_is_up(
    seconds: float, tmp_path: Path
) -> None:
    clock = Ticking(seconds)
    result, plan = run(large(500, 128), tmp_path, stop=clock)
    assert plan is not None
    assert result.termination.reason in (Reason.FEASIBLE, Reason.COMPLETED)
    certificate = result.summary["certificate"]
    assert 0 < certificate["lower_bound_ms"] <= certificate["model_ms"]
    assert clock.looked_after < 60, "once the time is up, nothing goes on for long"


def test_more_time_is_used(tmp_path: Path) -> None:
    short, _ = run(large(60, 16), tmp_path, stop=Ticking(3.0))
    whole, _ = run(large(60, 16), tmp_path)
    assert whole.objective <= short.objective
    assert whole.summary["search"]["local_steps"] > short.summary["search"]["local_steps"]


class Fixed:
    """A budget that stands still."""

    limit = None

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, best: Incumbent | None) -> bool:
        return self._seconds <= 0

    def remaining_s(self) -> float:
        return self._seconds


@pytest.mark.parametrize(("read_s", "model_s"), [(0.01, 0.01), (0.5, 1.0), (5.0, 4.0)])
@pytest.mark.parametrize("budget", [1.0, 20.0, 120.0, 3600.0])
def test_what_is_kept_grows_with_the_job_and_never_takes_all(
    budget: float, read_s: float, model_s: float
) -> None:
    search, proof = deadlines(Fixed(budget), read_s=read_s, model_s=model_s)
    for_check = budget - proof.left_s()
    for_proof = proof.left_s() - search.left_s()
    assert for_check >= min(2 * read_s, 0.5 * budget)
    assert for_proof >= min(model_s, 0.25 * budget)
    assert search.left_s() >= 0.2 * budget
    assert not search()


def test_without_a_limit_there_is_all_the_time() -> None:
    search, proof = deadlines(Fixed(float("inf")), read_s=1.0, model_s=1.0)
    assert not search()
    assert not proof()
    assert seconds_left(search) == float("inf")
    assert seconds_left(lambda: False) == float("inf")
    assert Until(Fixed(1.0), 2.0)()
    assert seconds_left(Until(Fixed(1.0), 2.0)) == 0.0

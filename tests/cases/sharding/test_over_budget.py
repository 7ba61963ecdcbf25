"""A large job that is killed over its budget keeps its best reported plan, checked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from search.kinds import KINDS
from trimtab.results import EventType, Limit, Reason
from workers.process.pool import ProcessExecutor
from workers.types import Outcome, OutcomeStatus, Task, TaskLimits

# The public case has 5,000 tables on 1,024 devices and 20 s. Any size will do whose phases after
# the search exceed the budget; a phase that never ends represents them here.
TABLES = [
    {"name": f"table_{i}", "rows": 1_000 + 997 * (i % 40), "dim": (16, 64, 128)[i % 3]}
    for i in range(120)
]


def task(builder: str, *, spec: dict[str, Any], seconds: float) -> Task:
    row = KINDS["sharding"]
    return Task(
        job_id="job",
        fence=1,
        kind="sharding",
        builder=builder,
        spec_class=row.spec_class,
        spec=row.spec.model_validate(spec, strict=False).model_dump(mode="json"),
        seed=0,
        budget={"seconds": seconds},
        limits=TaskLimits(grace_s=0.1),
    )


def run(tmp_path: Path, what: Task, *, stop: bool = False) -> Outcome:
    async def go() -> Outcome:
        executor = ProcessExecutor(workers=1, scratch_dir=tmp_path, sandbox="rlimit")
        await executor.open()
        try:
            execution = await executor.start(what)
            if stop:
                async for progress in execution.events():
                    if progress.type is EventType.INCUMBENT:
                        break
                await execution.stop()
            try:
                return await execution.result()
            finally:
                await execution.close()
        finally:
            await executor.close()

    return asyncio.run(go())


@pytest.mark.parametrize(
    "spec",
    [
        {"tables": TABLES, "devices": [{"count": 16, "memory_gib": 8}]},
        {
            "tables": TABLES,
            "devices": [{"count": 16, "memory_gib": 8}],
            "fabric": {"devices_per_node": 8},
        },
        {
            "tables": TABLES[:12],
            "devices": [{"count": 2, "memory_gib": 8, "hardware": "v100"}],
        },
    ],
    ids=["one node", "two nodes", "small"],
)
def test_a_killed_job_has_its_best_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]
) -> None:
    monkeypatch.setattr("workers.process.execution.OVERTIME_S", 0.5)
    outcome = run(
        tmp_path, task("tests.cases.sharding.endless:build", spec=spec, seconds=6.0)
    )
    assert outcome.status is OutcomeStatus.RESULT, outcome.termination
    assert (outcome.termination.reason, outcome.termination.limit) == (
        Reason.FEASIBLE,
        Limit.TIME,
    )
    assert "killed in phase search" in outcome.termination.detail
    assert outcome.result is not None
    assert outcome.result["verification"]["status"] == "valid"
    assert outcome.result["objective"] > 0


def test_a_stopped_job_that_does_not_listen_has_its_best_plan(tmp_path: Path) -> None:
    spec = {"tables": TABLES, "devices": [{"count": 16, "memory_gib": 8}]}
    outcome = run(
        tmp_path,
        task("tests.cases.sharding.endless:build", spec=spec, seconds=60.0),
        stop=True,
    )
    assert outcome.status is OutcomeStatus.RESULT, outcome.termination
    assert outcome.termination.limit is Limit.STOPPED

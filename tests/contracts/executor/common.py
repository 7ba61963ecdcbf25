"""Tasks and shortcuts of the executor's contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from trimtab.results import EventType, Limit, Reason
from workers.types import (
    Execution,
    Executor,
    Outcome,
    OutcomeStatus,
    Progress,
    Task,
    TaskLimits,
)

Run = Callable[[Awaitable[None]], None]


def probe(
    number: int = 0,
    *,
    seconds: float = 30.0,
    limits: TaskLimits | None = None,
    **spec: Any,
) -> Task:
    return Task(
        job_id=f"job-{number}",
        fence=1,
        kind="probe",
        builder="search.domains.probe:build",
        spec_class="trimtab.specs.probe:ProbeSpec",
        spec=spec,
        seed=number,
        budget={"seconds": seconds},
        limits=limits or TaskLimits(),
    )


def behaviour(
    does: str,
    *,
    seconds: float = 30.0,
    limits: TaskLimits | None = None,
    inputs: dict[str, Path] | None = None,
    **spec: Any,
) -> Task:
    return Task(
        job_id="job",
        fence=1,
        kind="behaviour",
        builder="tests.workers.behaviour:build",
        spec_class="tests.workers.behaviour:BehaviourSpec",
        spec={"does": does, **spec},
        seed=0,
        budget={"seconds": seconds},
        inputs=inputs or {},
        input_names={name: "../../model.mps" for name in inputs or {}},
        limits=limits or TaskLimits(),
    )


@asynccontextmanager
async def running(executor: Executor, task: Task) -> AsyncIterator[Execution]:
    execution = await executor.start(task)
    try:
        yield execution
    finally:
        await execution.cancel()
        await execution.close()


async def outcome_of(executor: Executor, task: Task) -> Outcome:
    async with running(executor, task) as execution:
        return await execution.result()


async def first(execution: Execution, kind: EventType) -> Progress:
    async for progress in execution.events():
        if progress.type is kind:
            return progress
    raise AssertionError(f"the run ended without a {kind}")


async def whole(execution: Execution) -> tuple[list[Progress], Outcome]:
    events = [progress async for progress in execution.events()]
    return events, await execution.result()


def _assert_best(
    outcome: Outcome, *, objective: float, limit: Limit, detail: str
) -> None:
    """The run ended early, and the best that it had reported is its verified result."""
    assert outcome.status is OutcomeStatus.RESULT, outcome.termination
    assert (outcome.termination.reason, outcome.termination.limit) == (
        Reason.FEASIBLE,
        limit,
    )
    assert detail in outcome.termination.detail
    assert outcome.result is not None
    assert outcome.result["objective"] == objective
    assert outcome.result["verification"]["status"] == "valid"
    assert any(detail in note for note in outcome.result["summary"]["notes"])
    assert outcome.produced, "the files are written too"
    assert all(file.path.is_file() for file in outcome.produced)


SECRETS = {
    "TRIMTAB_DATABASE_URL": "postgresql://u:hush@db/x",
    "DATABASE_URL": "postgresql://u:hush@db/x",
    "AWS_SECRET_ACCESS_KEY": "hush",
    "TRIMTAB_API_KEY": "tt_1_hush",
}

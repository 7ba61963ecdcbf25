"""The `ray` executor on a cluster: its runs, also when actors die, hang or are paused."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import sooner_than
from tests.workers.cluster.cluster import children_of_actor
from trimtab.results import EventType, Limit, Reason
from workers.cluster.pool import RayExecutor
from workers.types import OutcomeStatus, Progress, Task, TaskLimits

pytestmark = pytest.mark.ray


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


async def until(true: Callable[[], bool], timeout_s: float = 90.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not true():
            await asyncio.sleep(0.05)


async def two_actors(executor: RayExecutor) -> list[int]:
    """Both slots' actors, once what earlier tests did to them is over."""

    def pids() -> list[int]:
        return [slot["pid"] for slot in executor.describe()["slots"]]

    await until(
        lambda: (
            len(pids()) == 2 and all(Path("/proc", str(pid)).exists() for pid in pids())
        )
    )
    return pids()


async def succeeds_soon(executor: RayExecutor) -> None:
    """The next run may get a dead or paused actor before that is noticed; it is then repeated."""
    statuses = []
    while OutcomeStatus.RESULT not in statuses:
        assert len(statuses) < 3, statuses
        execution = await executor.start(probe(steps=1))
        statuses.append((await execution.result()).status)
        await execution.close()


async def next_event(execution: Any, kind: EventType) -> Progress:
    async for progress in execution.events():
        if progress.type is kind:
            return progress  # type: ignore[no-any-return]
    raise AssertionError(f"the run ended without a {kind}")


def run(runner: asyncio.Runner, body: Awaitable[None]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(180):
            await body

    runner.run(whole())


def test_result_events_and_files_come_back(
    executor: RayExecutor, runner: asyncio.Runner
) -> None:
    async def body() -> None:
        execution = await executor.start(probe(steps=3, step_seconds=0.12))
        objectives = [
            p.data["objective"]
            async for p in execution.events()
            if p.type is EventType.INCUMBENT
        ]
        outcome = await execution.result()
        assert objectives == [2.0, 1.0, 0.0]
        assert outcome.status is OutcomeStatus.RESULT
        assert outcome.result is not None
        assert outcome.result["verification"]["status"] == "valid"
        (file,) = outcome.produced
        assert (file.name, file.path.read_text()) == ("probe.txt", "0\n")
        await execution.close()
        assert not file.path.exists()

    run(runner, body())


def test_this_process_never_imports_ray(executor: RayExecutor) -> None:
    assert executor.describe()["ray"]
    assert "ray" not in sys.modules


def test_inputs_cross_as_bytes(
    executor: RayExecutor, runner: asyncio.Runner, tmp_path: Path
) -> None:
    model = tmp_path / "m.mps"
    # One binary x ≥ 1 with cost 3: the optimum is 3.
    model.write_text(
        "NAME M\nROWS\n N obj\n G r\nCOLUMNS\n M1 'MARKER' 'INTORG'\n x obj 3 r 1\n"
        " M2 'MARKER' 'INTEND'\n"
        "RHS\n rhs r 1\nBOUNDS\n UP b x 1\nENDATA\n"
    )

    async def body() -> None:
        task = probe(steps=1)
        execution = await executor.start(
            Task(
                **{
                    **vars(task),
                    "inputs": {"model": model},
                    "input_names": {"model": "../m.mps"},
                }
            )
        )
        assert (await execution.result()).status is OutcomeStatus.RESULT
        await execution.close()
        gone = Task(**{**vars(task), "inputs": {"model": tmp_path / "gone"}})
        execution = await executor.start(gone)
        assert (await execution.result()).status is OutcomeStatus.TRANSIENT
        await execution.close()

    run(runner, body())


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [("crash", Reason.NUMERICAL_ERROR), ("invalid", Reason.INVALID_INPUT)],
)
def test_own_faults_are_failures_and_the_actor_lives(
    executor: RayExecutor, runner: asyncio.Runner, outcome: str, reason: Reason
) -> None:
    async def body() -> None:
        actors = {slot["pid"] for slot in executor.describe()["slots"]}
        execution = await executor.start(probe(steps=0, outcome=outcome))
        ended = await execution.result()
        assert (ended.status, ended.termination.reason) == (OutcomeStatus.FAILED, reason)
        await execution.close()
        assert {slot["pid"] for slot in executor.describe()["slots"]} >= actors

    run(runner, body())


def test_stop_keeps_the_best(executor: RayExecutor, runner: asyncio.Runner) -> None:
    async def body() -> None:
        execution = await executor.start(probe(steps=1000, step_seconds=0.1))
        await next_event(execution, EventType.INCUMBENT)
        with sooner_than(100):  # its 1,000 steps
            await execution.stop()
            outcome = await execution.result()
        assert outcome.status is OutcomeStatus.RESULT
        assert outcome.termination.limit is Limit.STOPPED
        await execution.close()

    run(runner, body())


def test_stop_kills_what_does_not_listen(
    executor: RayExecutor, runner: asyncio.Runner
) -> None:
    async def body() -> None:
        execution = await executor.start(
            probe(steps=1, outcome="hang", limits=TaskLimits(grace_s=0.3))
        )
        await next_event(execution, EventType.INCUMBENT)
        await execution.stop()
        outcome = await execution.result()
        assert outcome.status is OutcomeStatus.RESULT, (
            "its best is finished by another child"
        )
        assert outcome.termination.limit is Limit.STOPPED
        assert outcome.produced[0].path.read_text() == "0\n"
        await execution.close()

    run(runner, body())


def test_cancel_kills_at_once_and_the_slot_is_free_again(
    executor: RayExecutor, runner: asyncio.Runner
) -> None:
    async def body() -> None:
        for number in range(3):
            execution = await executor.start(probe(number, steps=1, outcome="hang"))
            await next_event(execution, EventType.INCUMBENT)
            with sooner_than(30):
                await execution.cancel()
                assert (await execution.result()).status is OutcomeStatus.CANCELLED
            await execution.close()

    run(runner, body())


def test_runs_beside_each_other(executor: RayExecutor, runner: asyncio.Runner) -> None:
    async def body() -> None:
        await until(lambda: executor.capacity == 2)
        first = await executor.start(probe(1, steps=1, outcome="hang"))
        second = await executor.start(probe(2, steps=1))
        assert (await second.result()).status is OutcomeStatus.RESULT
        await first.cancel()
        await first.close()
        await second.close()

    run(runner, body())


def test_killed_actor_is_a_lost_run_and_leaves_no_child(
    executor: RayExecutor, runner: asyncio.Runner
) -> None:
    async def body() -> None:
        actors = await two_actors(executor)
        execution = await executor.start(probe(steps=1, outcome="hang"))
        await next_event(execution, EventType.INCUMBENT)
        for actor in actors:
            os.kill(actor, signal.SIGKILL)
        outcome = await execution.result()
        assert outcome.status is OutcomeStatus.LOST
        await execution.close()
        await until(lambda: not any(children_of_actor(actor) for actor in actors))
        await succeeds_soon(executor)

    run(runner, body())


def test_paused_actor_is_given_up_after_its_silence(
    executor: RayExecutor, runner: asyncio.Runner
) -> None:
    async def body() -> None:
        actors = await two_actors(executor)
        execution = await executor.start(probe(steps=1, outcome="hang"))
        await next_event(execution, EventType.INCUMBENT)
        for actor in actors:
            os.kill(actor, signal.SIGSTOP)
        outcome = await execution.result()
        assert outcome.status is OutcomeStatus.LOST
        await execution.close()
        await succeeds_soon(executor)
        await until(lambda: not any(children_of_actor(actor) for actor in actors))

    run(runner, body())


def test_host_process_that_dies_is_started_again(
    executor: RayExecutor, runner: asyncio.Runner
) -> None:
    async def body() -> None:
        actors = [slot["pid"] for slot in executor.describe()["slots"]]
        execution = await executor.start(probe(steps=1, outcome="hang"))
        await next_event(execution, EventType.INCUMBENT)
        os.kill(executor.describe()["host_pid"], signal.SIGKILL)
        assert (await execution.result()).status is OutcomeStatus.LOST
        await execution.close()
        await until(lambda: executor.capacity > 0, timeout_s=120)
        execution = await executor.start(probe(steps=1))
        assert (await execution.result()).status is OutcomeStatus.RESULT
        await execution.close()
        await until(lambda: not any(children_of_actor(actor) for actor in actors))

    run(runner, body())

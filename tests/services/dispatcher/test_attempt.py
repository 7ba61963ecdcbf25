"""Attempts: the state of the job for each way an attempt can end.

The executor is scripted, and the store is the in-memory double.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.dispatcher import starting
from services.errors import StoreUnavailable
from services.store.types import Completion, JobRecord
from tests.doubles.memory_store import MemoryStore
from tests.services.dispatcher.scripted import Rig, produced, rig
from trimtab.results import EventType, JobState, Reason
from workers.types import OutcomeStatus


def run(folder: Path, body: Callable[[Rig], Awaitable[None]], **more: Any) -> None:
    async def whole() -> None:
        async with rig(folder, **more) as made:
            await body(made)

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("status", "state"),
    [(OutcomeStatus.RESULT, JobState.SUCCEEDED), (OutcomeStatus.FAILED, JobState.FAILED)],
)
def test_end_is_recorded_once(
    tmp_path: Path, status: OutcomeStatus, state: JobState
) -> None:
    async def body(r: Rig) -> None:
        job_id = await r.submit()
        execution = await r.begun()
        execution.end(status)
        job = await r.ended(job_id)
        assert job.state is state
        assert [a.outcome for a in await r.store.attempts(job_id)] == [status.value]
        assert await r.store.stale_writes() == 0

    run(tmp_path, body)


@pytest.mark.parametrize("status", [OutcomeStatus.LOST, OutcomeStatus.TRANSIENT])
def test_lost_attempts_are_retried_until_none_is_left(
    tmp_path: Path, status: OutcomeStatus
) -> None:
    async def body(r: Rig) -> None:
        job_id = await r.submit(max_attempts=2)
        (await r.begun()).end(status)
        (await r.begun()).end(status)
        job = await r.ended(job_id)
        assert job.state is JobState.DEAD
        assert len(await r.store.attempts(job_id)) == 2

    run(tmp_path, body)


def test_a_worker_that_cannot_start_is_the_services_fault(tmp_path: Path) -> None:
    async def body(r: Rig) -> None:
        r.executor.fail_start = OSError("no memory to fork")
        job_id = await r.submit(max_attempts=1)
        job = await r.ended(job_id)
        assert job.state is JobState.DEAD
        assert job.termination is not None
        assert "no memory to fork" in job.termination["detail"]

    run(tmp_path, body)


def test_stop_and_cancel_reach_the_run_through_the_bus(tmp_path: Path) -> None:
    async def body(r: Rig) -> None:
        stopped, cancelled = await r.submit(), await r.submit()
        runs = {e.task.job_id: e for e in (await r.begun(), await r.begun())}
        await r.store.request_stop(stopped)
        r.bus.notify(stopped)
        await r.store.request_cancel(cancelled)
        r.bus.notify(cancelled)
        assert (await r.ended(stopped, timeout_s=20)).state is JobState.SUCCEEDED
        assert (await r.ended(cancelled, timeout_s=20)).state is JobState.CANCELLED
        assert runs[stopped].calls == ["stop"]
        assert runs[cancelled].calls[0] == "cancel"

    # No heartbeat falls into the test: only the bus can carry the request.
    run(tmp_path, body, heartbeat_s=60.0)


def test_cancel_of_another_process_is_seen_without_the_bus(tmp_path: Path) -> None:
    async def body(r: Rig) -> None:
        job_id = await r.submit()
        await r.begun()
        await r.store.request_cancel(job_id)
        assert (await r.ended(job_id)).state is JobState.CANCELLED

    run(tmp_path, body)


def test_cancelled_job_whose_child_is_gone_ends_cancelled(tmp_path: Path) -> None:
    async def body(r: Rig) -> None:
        job_id = await r.submit()
        execution = await r.begun()
        await r.store.request_cancel(job_id)
        execution.end(OutcomeStatus.LOST, reason=Reason.WORKER_LOST)
        assert (await r.ended(job_id)).state is JobState.CANCELLED

    run(tmp_path, body, heartbeat_s=60.0)


def test_run_killed_by_the_executor_is_lost_and_not_cancelled(tmp_path: Path) -> None:
    async def body(r: Rig) -> None:
        job_id = await r.submit()
        # Not at the owner's request: an executor that closes, or a host that dies.
        await (await r.begun()).cancel()
        await r.requeued(job_id)
        (await r.begun()).end(OutcomeStatus.RESULT)
        assert (await r.ended(job_id)).state is JobState.SUCCEEDED

    run(tmp_path, body)


def test_silent_child_loses_its_lease_then_its_life_and_another_attempt_counts(
    tmp_path: Path,
) -> None:
    async def body(r: Rig) -> None:
        job_id = await r.submit()
        paused = await r.begun()
        paused.silent_s = 0.9  # most of a lease: no longer renewed
        second = await r.begun()
        assert second.task.fence > paused.task.fence
        paused.end(OutcomeStatus.RESULT)  # it wakes up and returns its result too late
        second.end(OutcomeStatus.RESULT)
        job = await r.ended(job_id)
        assert (job.state, job.fence) == (JobState.SUCCEEDED, second.task.fence)
        assert [a.outcome for a in await r.store.attempts(job_id)] == ["lost", "result"]

    run(tmp_path, body, lease_s=1.0, sweep_s=0.1)


def test_child_silent_for_two_leases_is_killed_as_lost_even_if_nobody_swept(
    tmp_path: Path,
) -> None:
    async def body(r: Rig) -> None:
        job_id = await r.submit()
        paused = await r.begun()
        paused.silent_s = 1e6
        job = await r.requeued(job_id)
        assert not job.cancel_requested
        assert "cancel" in paused.calls
        (await r.begun()).end(OutcomeStatus.RESULT)
        assert (await r.ended(job_id)).state is JobState.SUCCEEDED

    run(tmp_path, body, sweep_s=600.0)


def test_dispatcher_that_overslept_its_lease_forgets_the_attempt(tmp_path: Path) -> None:
    """The clock jumps past the lease before a sweep: the attempt changes nothing in the job."""
    skew_us = 0
    store = MemoryStore(clock=lambda: 1_800_000_000_000_000 + skew_us)

    async def body(r: Rig) -> None:
        nonlocal skew_us
        job_id = await r.submit()
        first = await r.begun()
        skew_us = 31_000_000
        while "cancel" not in first.calls:
            await asyncio.sleep(0.01)
        assert (await r.store.get(job_id)).state is JobState.RUNNING
        assert await r.store.stale_writes() >= 1
        for job in await r.store.sweep():
            assert job.state is JobState.QUEUED
        (await r.begun()).end(OutcomeStatus.RESULT)
        assert (await r.ended(job_id)).state is JobState.SUCCEEDED

    run(tmp_path, body, store=store, sweep_s=600.0)


class FlakyStore(MemoryStore):
    """Refuses the next `refusals` completions and appends, like a database that restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals = 0
        self.appends: list[int] = []
        self.appending = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def complete(
        self, job_id: str, fence: int, completion: Completion
    ) -> JobRecord:
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable("restarting", retry_after_s=0.01)
        return await super().complete(job_id, fence, completion)

    async def append(self, job_id: str, fence: int, events: Any) -> int:
        self.appending += 1
        assert self.appending == 1, "two appends of one job in flight"
        try:
            await self.gate.wait()
            self.appends.append(len(events))
            return await super().append(job_id, fence, events)
        finally:
            self.appending -= 1


def test_result_outlives_a_database_restart_with_its_files(tmp_path: Path) -> None:
    store = FlakyStore()

    async def body(r: Rig) -> None:
        job_id = await r.submit()
        execution = await r.begun()
        store.refusals = 5
        file = tmp_path / "solution.txt"
        file.write_text("x = 1\n")
        execution.end(OutcomeStatus.RESULT, produced=produced(file))
        job = await r.ended(job_id)
        assert job.state is JobState.SUCCEEDED
        assert job.result is not None
        reference = job.result["artifacts"]["solution.txt"]
        assert r.blobs.path(reference["digest"]).read_text() == "x = 1\n"
        assert (
            await r.store.get_artifact(reference["digest"], tenant="a")
        ).name == "solution.txt"
        assert (
            await r.store.unreferenced_artifacts(
                older_than_us=await store.now_us() + 10**9
            )
            == []
        )

    run(tmp_path, body, store=store)


def test_appends_do_not_overlap_and_what_waits_goes_together(tmp_path: Path) -> None:
    async def body(r: Rig) -> None:
        store = r.store
        assert isinstance(store, FlakyStore)
        job_id = await r.submit()
        execution = await r.begun()
        store.gate.clear()
        for objective in range(50, 0, -1):
            execution.say(float(objective))
            await asyncio.sleep(0)
        store.gate.set()
        execution.end(OutcomeStatus.RESULT)
        await r.ended(job_id)
        objectives = [
            e.data["objective"]
            for e in await store.events(job_id)
            if e.type is EventType.INCUMBENT
        ]
        assert objectives == [float(n) for n in range(50, 0, -1)]
        assert len(store.appends) < 10

    async def whole() -> None:
        async with rig(tmp_path, store=FlakyStore()) as made:
            await body(made)

    asyncio.run(whole())


def test_shutdown_gives_running_jobs_back_and_writes_what_has_ended(
    tmp_path: Path,
) -> None:
    async def whole() -> None:
        store = FlakyStore()
        async with rig(tmp_path, store=store) as r:
            running, ending = await r.submit(max_attempts=1), await r.submit()
            runs = {e.task.job_id: e for e in (await r.begun(), await r.begun())}
            # The completion is retried against an unavailable store during the shutdown.
            store.refusals = 3
            runs[ending].end(OutcomeStatus.RESULT)
            await asyncio.sleep(0)
        assert all(e.closed for e in runs.values())
        assert (await store.get(running)).state is JobState.QUEUED
        assert (await store.get(running)).attempt == 0, "a restart uses no attempt up"
        assert [a.outcome for a in await store.attempts(running)] == ["handed_back"]
        assert (await store.get(running)).run_at_us <= await store.now_us()
        assert (await store.get(ending)).state in (JobState.SUCCEEDED, JobState.QUEUED)

    asyncio.run(whole())


def test_spec_of_an_older_version_fails_its_job_only(tmp_path: Path) -> None:
    async def body(r: Rig) -> None:
        bad = await r.submit({"steps": "many"})
        job = await r.ended(bad)
        assert job.state is JobState.FAILED
        assert job.termination is not None
        assert job.termination["reason"] == "invalid_input"
        good = await r.submit()
        (await r.begun()).end(OutcomeStatus.RESULT)
        assert (await r.ended(good)).state is JobState.SUCCEEDED

    run(tmp_path, body)


def test_no_more_is_claimed_than_there_is_room_for(tmp_path: Path) -> None:
    async def body(r: Rig) -> None:
        ids = [await r.submit() for _ in range(5)]
        first, _second = await r.begun(), await r.begun()
        assert r.executor.started.empty()
        assert (await r.store.counts())[JobState.RUNNING] == 2
        first.end(OutcomeStatus.RESULT)
        await r.begun()
        assert (await r.store.counts())[JobState.RUNNING] == 2
        assert len(ids) == 5

    run(tmp_path, body)


def test_events_of_a_stale_attempt_and_its_end_change_nothing(tmp_path: Path) -> None:
    async def body(r: Rig) -> None:
        job_id = await r.submit()
        first = await r.begun()
        # A sweep takes the lease back: this attempt learns it from the new claim or from a
        # refused write.
        while not await r.store.sweep():
            await asyncio.sleep(0.05)
        second = await r.begun()
        first.say(3.0)
        first.end(OutcomeStatus.RESULT)
        while not first.closed:
            await asyncio.sleep(0.01)
        assert (await r.store.get(job_id)).state is JobState.RUNNING
        incumbents = [
            e for e in await r.store.events(job_id) if e.type is EventType.INCUMBENT
        ]
        assert incumbents == []
        second.end(OutcomeStatus.RESULT)
        assert (await r.ended(job_id)).state is JobState.SUCCEEDED

    run(tmp_path, body, lease_s=0.3, heartbeat_s=60.0, sweep_s=600.0)


def test_a_run_that_is_slow_to_start_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "QUIET_S", 0.05)

    async def body(r: Rig) -> None:
        job_id = await r.submit()
        execution = await r.begun()
        assert (await r.store.get(job_id)).phase == "start"
        while not (phases := await _phases(r, job_id)):
            await asyncio.sleep(0.01)
        execution.end(OutcomeStatus.RESULT)
        await r.ended(job_id)
        assert phases[0]["phase"] == "start"
        assert "libraries" in phases[0]["detail"]

    run(tmp_path, body)


def test_a_run_that_reports_is_not_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "QUIET_S", 3600.0)

    async def body(r: Rig) -> None:
        job_id = await r.submit()
        execution = await r.begun()
        assert _announcing()
        execution.say(1.0)
        while (await r.store.get(job_id)).best is None:
            await asyncio.sleep(0.01)
        assert not _announcing()
        execution.end(OutcomeStatus.RESULT)
        await r.ended(job_id)

    run(tmp_path, body)


def _announcing() -> list[asyncio.Task[Any]]:
    waiting = starting.announce_slow_start.__name__
    return [t for t in asyncio.all_tasks() if waiting in repr(t.get_coro())]


async def _phases(r: Rig, job_id: str) -> list[dict[str, Any]]:
    events = await r.store.events(job_id, after_seq=0, limit=100)
    return [dict(event.data) for event in events if event.type is EventType.PHASE]

"""Checkpoints: the best solution is stored with the job and starts the next attempt."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.doubles.memory_store import MemoryStore
from tests.services.dispatcher.scripted import rig
from trimtab.results import JobState, Limit
from workers.types import OutcomeStatus


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.dispatcher.attempt.CHECKPOINT_S", 0.05)


def test_the_newest_is_stored_while_it_improves(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as r:
            job_id = await r.submit()
            run = await r.begun()
            for number in (3, 2, 1):
                run.best = f"best {number}".encode()
                run.say(float(number))
                await asyncio.sleep(0.01)
            await r.until(job_id, lambda job: job.has_checkpoint)
            async with asyncio.timeout(60):
                while await r.store.get_checkpoint(job_id) != b"best 1":
                    await asyncio.sleep(0.01)
            run.end(OutcomeStatus.RESULT)
            ended = await r.ended(job_id)
            assert ended.state is JobState.SUCCEEDED
            assert await r.store.get_checkpoint(job_id) is None

    asyncio.run(main())


def test_a_handed_back_job_starts_from_its_best(tmp_path: Path) -> None:
    """A dispatcher closes on SIGTERM, and another one takes the job."""

    async def main() -> None:
        store = MemoryStore()
        async with rig(tmp_path, store=store) as r:
            job_id = await r.submit()
            run = await r.begun()
            assert (run.task.start, run.task.finish) == (None, None)
            run.best = b"best"  # not even reported yet
        job = await store.get(job_id)
        assert (job.state, job.has_checkpoint, job.attempt) == (JobState.QUEUED, True, 0)
        async with rig(tmp_path, store=store) as r:
            run = await r.begun()
            assert (run.task.start, run.task.finish) == (b"best", None)
            run.end(OutcomeStatus.RESULT)
            await r.ended(job_id)

    asyncio.run(main())


@pytest.mark.parametrize("status", [OutcomeStatus.LOST, OutcomeStatus.TRANSIENT])
def test_a_lost_attempts_best_is_the_next_ones_start(
    tmp_path: Path, status: OutcomeStatus
) -> None:
    async def main() -> None:
        async with rig(tmp_path) as r:
            job_id = await r.submit(max_attempts=2)
            run = await r.begun()
            run.best = b"best"
            run.end(status)
            second = await r.begun()
            assert second.task.start == b"best"
            second.end(status)  # before it had a solution of its own
            third = await r.begun()
            assert third.task.start == b"best"
            assert third.task.finish is not None, (
                "its attempts are used up: only what was found is finished"
            )
            assert third.task.finish.ended.limit is Limit.ATTEMPTS
            assert "all 2 attempts" in third.task.finish.ended.detail
            third.end(OutcomeStatus.RESULT)
            assert (await r.ended(job_id)).state is JobState.SUCCEEDED

    asyncio.run(main())


def test_a_silent_run_is_killed_and_its_best_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, lease_s=2.0) as r:
            job_id = await r.submit(max_attempts=1)
            run = await r.begun()
            run.best = b"best"
            run.silent_s = 5.0
            second = await r.begun()
            assert (run.calls, second.task.start) == (["cancel"], b"best")
            second.end(OutcomeStatus.RESULT)
            await r.ended(job_id)

    asyncio.run(main())


def test_a_stopped_job_whose_worker_is_lost_keeps_its_best(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, heartbeat_s=20.0) as r:
            job_id = await r.submit()
            run = await r.begun()
            run.best = b"best"
            # Another process' word, which comes too late.
            await r.store.request_stop(job_id)
            run.end(OutcomeStatus.LOST)
            second = await r.begun()
            assert second.task.finish is not None
            assert second.task.finish.ended.limit is Limit.STOPPED
            second.end(OutcomeStatus.RESULT)
            assert (await r.ended(job_id)).state is JobState.SUCCEEDED

    asyncio.run(main())


def test_a_stale_attempt_stores_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, lease_s=2.0, heartbeat_s=1.5) as r:
            job_id = await r.submit()
            run = await r.begun()
            job = await r.store.get(job_id)
            assert isinstance(r.store, MemoryStore)
            r.store._jobs[job_id] = replace(job, fence=job.fence + 1)
            run.best = b"old"
            run.say(1.0)
            await asyncio.sleep(0.3)
            assert await r.store.get_checkpoint(job_id) is None

    asyncio.run(main())

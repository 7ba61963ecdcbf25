"""Running many jobs at once, blocking and asyncio."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from trimtab._twins import arun_all, run_all

SLEEPS = [0.06, 0.0, 0.03, 0.01, 0.05, 0.0]


class Jobs:
    """Counts unfinished jobs; a job lasts as long as its spec says."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.unfinished = self.most = 0
        self.batches: list[int] = []

    def submit(self, specs: Sequence[float]) -> list[Job]:
        self.batches.append(len(specs))
        with self.lock:
            self.unfinished += len(specs)
            self.most = max(self.most, self.unfinished)
        return [Job(self, seconds) for seconds in specs]

    async def asubmit(self, specs: Sequence[float]) -> list[AsyncJob]:
        return [AsyncJob(job.jobs, job.seconds) for job in self.submit(specs)]


class Job:
    def __init__(self, jobs: Jobs, seconds: float) -> None:
        self.jobs, self.seconds = jobs, seconds

    def end(self) -> None:
        with self.jobs.lock:
            self.jobs.unfinished -= 1

    def wait(self) -> None:
        time.sleep(self.seconds)
        self.end()


class AsyncJob(Job):
    async def wait(self) -> None:  # type: ignore[override]
        await asyncio.sleep(self.seconds)
        self.end()


def blocking(jobs: Jobs, as_completed: bool) -> list[float]:
    ended = run_all(
        jobs.submit, SLEEPS, concurrency=3, batch=2, as_completed=as_completed
    )
    return [job.seconds for job in ended]


def awaited(jobs: Jobs, as_completed: bool) -> list[float]:
    async def collect() -> list[float]:
        ended = arun_all(
            jobs.asubmit, SLEEPS, concurrency=3, batch=2, as_completed=as_completed
        )
        return [job.seconds async for job in ended]

    return asyncio.run(collect())


@pytest.mark.parametrize("run", [blocking, awaited])
def test_jobs_come_in_order_and_at_most_three_are_unfinished(run) -> None:
    jobs = Jobs()
    assert run(jobs, False) == SLEEPS
    assert 2 <= jobs.most <= 3
    assert max(jobs.batches) <= 2
    assert sum(jobs.batches) == len(SLEEPS)


@pytest.mark.parametrize("run", [blocking, awaited])
def test_as_completed_yields_every_job_and_does_not_wait_for_the_first(run) -> None:
    order = run(Jobs(), True)
    assert sorted(order) == sorted(SLEEPS)
    assert order[0] != SLEEPS[0]


def test_sizes_below_one_are_refused() -> None:
    for sizes in ({"concurrency": 0, "batch": 1}, {"concurrency": 1, "batch": 0}):
        with pytest.raises(ValueError, match="expected at least 1, got 0"):
            list(run_all(Jobs().submit, SLEEPS, as_completed=False, **sizes))


def test_closing_the_async_iterator_cancels_the_waits() -> None:
    async def body() -> int:
        jobs = arun_all(
            Jobs().asubmit, [0.0, 60.0, 60.0], concurrency=3, batch=3, as_completed=True
        )
        await anext(jobs)
        await jobs.aclose()
        await asyncio.sleep(0)
        return len(asyncio.all_tasks()) - 1

    assert asyncio.run(body()) == 0

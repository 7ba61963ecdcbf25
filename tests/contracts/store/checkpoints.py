"""Checkpoints of attempts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.errors import StaleFence
from services.store.types import (
    JobFilter,
    JobStore,
)
from tests.contracts.store.common import (
    DONE,
    LEASE_S,
    LOST,
    Clock,
    claim_one,
    new_job,
)
from trimtab.results import JobState


class Checkpoints:
    """Checkpoints of attempts."""

    # --- checkpoints
    def test_a_checkpoint_outlives_its_attempt_and_goes_when_the_job_ends(
        self, run: Any
    ) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            assert await store.get_checkpoint(job.id) is None
            claim = await claim_one(store)
            assert not claim.job.has_checkpoint
            await store.put_checkpoint(job.id, claim.fence, b"first")
            await store.put_checkpoint(job.id, claim.fence, bytes(range(256)))
            clock.forward(LEASE_S + 1)
            (swept,) = await store.sweep()
            assert (swept.state, swept.has_checkpoint) == (JobState.QUEUED, True)
            second = await claim_one(store)
            assert second.job.has_checkpoint
            assert await store.get_checkpoint(job.id) == bytes(range(256))
            after = await store.complete(job.id, second.fence, DONE)
            assert not after.has_checkpoint
            assert await store.get_checkpoint(job.id) is None
            await store.delete(job.id)

        run(body)

    def test_a_stale_checkpoint_is_refused_and_counted(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            old = await claim_one(store)
            clock.forward(LEASE_S + 1)
            await store.sweep()
            new = await claim_one(store)
            await store.put_checkpoint(job.id, new.fence, b"new")
            before = await store.stale_writes()
            with pytest.raises(StaleFence):
                await store.put_checkpoint(job.id, old.fence, b"old")
            with pytest.raises(StaleFence):
                await store.put_checkpoint("job_none", 1, b"x")
            assert await store.stale_writes() == before + 2
            assert await store.get_checkpoint(job.id) == b"new"

        run(body)

    def test_a_lost_attempt_hands_its_checkpoint_on(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            claim = await claim_one(store)
            handed = replace(LOST, outcome="handed_back", checkpoint=b"best")
            after = await store.complete(job.id, claim.fence, handed)
            assert (after.state, after.has_checkpoint, after.attempt) == (
                JobState.QUEUED,
                True,
                0,
            )
            assert await store.get_checkpoint(job.id) == b"best"
            assert (await store.get(job.id)).has_checkpoint
            (listed,) = await store.list_jobs(JobFilter(), limit=5)
            assert listed.has_checkpoint

        run(body)

    def test_a_job_with_a_checkpoint_gets_one_more_attempt_to_finish_it(
        self, run: Any
    ) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            job = (await store.submit(new_job(max_attempts=1))).job
            claim = await claim_one(store)
            await store.put_checkpoint(job.id, claim.fence, b"best")
            assert (
                await store.complete(job.id, claim.fence, LOST)
            ).state is JobState.QUEUED
            last = await claim_one(store)
            assert (last.job.attempt, last.job.max_attempts) == (2, 1)
            dead = await store.complete(job.id, last.fence, LOST)
            assert (dead.state, dead.has_checkpoint) == (JobState.DEAD, True)
            await store.redrive(job.id)
            assert (await claim_one(store)).job.has_checkpoint, (
                "a re-drive begins from it"
            )

        run(body)

    def test_stop_and_cancel_of_a_job_with_a_checkpoint(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            stopped, cancelled = [
                (await store.submit(new_job())).job.id for _ in range(2)
            ]
            for _number in range(2):
                claim = await claim_one(store)
                await store.put_checkpoint(claim.job.id, claim.fence, b"best")
                await store.complete(claim.job.id, claim.fence, LOST)
            after = await store.request_stop(stopped)
            assert (after.state, after.stop_requested) == (JobState.QUEUED, True), (
                "there is a best to keep"
            )
            after = await store.request_cancel(cancelled)
            assert (after.state, after.has_checkpoint) == (JobState.CANCELLED, False)
            assert await store.get_checkpoint(cancelled) is None
            claim = await claim_one(store)
            assert (claim.job.id, claim.job.stop_requested) == (stopped, True)

        run(body)

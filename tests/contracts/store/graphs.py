"""Jobs that wait for jobs: order, skips, files, re-drives, deletion."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.errors import BadRequest, Conflict, NotFound
from services.store.types import (
    After,
    Completion,
    JobRecord,
    JobStore,
    NewJob,
    OutputInput,
)
from tests.contracts.store.common import DONE, LEASE_S, Clock, claim_one, key, new_job
from trimtab.results import JobState

Body = Callable[[JobStore, Clock], Awaitable[None]]
Run = Callable[[Body], None]

FAILED = Completion(
    verb="fail",
    termination={"reason": "invalid_input", "limit": None, "detail": "no such column"},
    outcome="failed",
)


def after(*jobs: str | int, needs_success: bool = True) -> list[After]:
    return [After(job=job, needs_success=needs_success) for job in jobs]


def done(**digests: str) -> Completion:
    """Return a success that produced files."""
    artifacts = {name: {"digest": digest} for name, digest in digests.items()}
    return Completion(
        verb="succeed",
        termination={"reason": "optimal", "limit": None},
        outcome="result",
        result={"objective": 1.5, "artifacts": artifacts},
        artifacts=list(digests.values()),
    )


def reader(job: str | int, output: str = "out", **more: Any) -> NewJob:
    """Return a job that reads a file of another one."""
    file = OutputInput(path=("inputs", 0), job=job, output=output)
    spec = {"steps": 1, "inputs": [{"digest": "sha256:?", "job": "?", "output": output}]}
    return new_job(inputs=[file], spec=spec, **more)


async def submit(store: JobStore, *jobs: NewJob) -> list[str]:
    return [one.job.id for one in await store.submit_many(jobs)]


async def end(store: JobStore, completion: Completion) -> JobRecord:
    """Claim the next job and end it."""
    claim = await claim_one(store)
    return await store.complete(claim.job.id, claim.fence, completion)


async def states(store: JobStore, *job_ids: str) -> list[str]:
    return [(await store.get(job_id)).state.value for job_id in job_ids]


class Graphs:
    def test_a_job_waits_until_every_parent_has_ended(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            a, b, c = await submit(
                store, new_job(), new_job(), new_job(after=after(0, 1))
            )
            assert await states(store, a, b, c) == ["QUEUED", "QUEUED", "WAITING"]
            assert (await store.get(c)).waits == 2
            await end(store, DONE)
            assert await states(store, b, c) == ["QUEUED", "WAITING"]
            await end(store, DONE)
            assert await states(store, a, b, c) == ["SUCCEEDED", "SUCCEEDED", "QUEUED"]
            assert (await claim_one(store)).job.id == c
            events = await store.events(c)
            assert [event.data["state"] for event in events] == [
                "WAITING",
                "QUEUED",
                "RUNNING",
            ]

        run(body)

    def test_a_failure_skips_all_that_need_it_and_says_why(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            a, b, c, anyway = await submit(
                store,
                new_job(),
                new_job(after=after(0), webhook={"url": "http://h/"}),
                new_job(after=after(1)),
                new_job(after=after(2, needs_success=False)),
            )
            await end(store, FAILED)
            assert await states(store, b, c, anyway) == ["SKIPPED", "SKIPPED", "QUEUED"]
            for job_id in (b, c):
                ended = (await store.get(job_id)).termination
                assert ended is not None
                assert ended["reason"] == "parent_failed"
                assert ended["detail"] == f"job {a} ended FAILED: no such column"
            (due,) = await store.outbox_due()
            assert (due.job_id, due.payload["state"]) == (b, "SKIPPED")

        run(body)

    @pytest.mark.parametrize("how", ["cancel", "stop", "lose", "expire"])
    def test_every_bad_end_skips(self, run: Run, how: str) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            a, b = await submit(store, new_job(max_attempts=1), new_job(after=after(0)))
            if how in ("cancel", "stop"):
                await getattr(store, f"request_{how}")(a)
            elif how == "expire":
                await claim_one(store)
                clock.forward(LEASE_S + 1)
                await store.sweep()
            else:
                lost = {"reason": "worker_lost", "limit": None}
                await end(
                    store, Completion(verb="lose", termination=lost, outcome="lost")
                )
            assert await states(store, b) == ["SKIPPED"]

        run(body)

    def test_a_produced_file_reaches_the_spec_and_is_kept(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            a, b = await submit(store, new_job(), reader(0))
            waiting = await store.get(b)
            assert waiting.state is JobState.WAITING
            assert waiting.spec["inputs"][0]["job"] == a
            await end(store, done(out="sha256:1"))
            ready = await store.get(b)
            assert ready.state is JobState.QUEUED
            assert ready.spec["inputs"][0] == {
                "digest": "sha256:1",
                "job": a,
                "output": "out",
            }

        run(body)

    def test_a_file_that_was_not_produced_skips_the_reader(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            a, b = await submit(store, new_job(), reader(0, "table.csv"))
            await end(store, done(out="sha256:1"))
            ended = (await store.get(b)).termination
            assert await states(store, b) == ["SKIPPED"]
            assert ended is not None
            assert ended["reason"] == "input_missing"
            assert a in ended["detail"]
            assert "table.csv" in ended["detail"]

        run(body)

    def test_parents_that_have_ended_count_at_once(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            (a,) = await submit(store, new_job())
            await end(store, done(out="sha256:1"))
            (b,) = await submit(store, reader(a, after=after(a)))
            ready = await store.get(b)
            assert ready.state is JobState.QUEUED
            assert ready.spec["inputs"][0]["digest"] == "sha256:1"
            with pytest.raises(Conflict, match="output: expected a file of job"):
                await submit(store, reader(a, "other"))
            await store.request_cancel(b)
            with pytest.raises(Conflict, match="may still succeed"):
                await submit(store, new_job(after=after(b)))
            (c,) = await submit(store, new_job(after=after(b, needs_success=False)))
            assert await states(store, c) == ["QUEUED"]

        run(body)

    def test_unknown_foreign_and_later_jobs_are_refused(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            (foreign,) = await submit(store, new_job(tenant="b"))
            for unknown in (foreign, "job_0"):
                with pytest.raises(NotFound, match="no job"):
                    await submit(store, new_job(), new_job(after=after(unknown)))
            for later in (1, 2, -1):
                with pytest.raises(BadRequest, match="earlier job of this batch"):
                    await submit(store, new_job(), new_job(after=after(later)))
            assert (await store.counts("a"))[JobState.QUEUED] == 0

        run(body)

    def test_redriving_revives_exactly_what_the_failure_skipped(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            # a -> b -> d, a -> c -> d, x -> d, and `ran` ran in spite of a's failure.
            a, b, c, x, d, ran = await submit(
                store,
                new_job(),
                new_job(after=after(0)),
                new_job(after=after(0)),
                new_job(priority=-1),
                new_job(after=after(1, 2, 3)),
                new_job(after=after(0, needs_success=False), priority=1),
            )
            await end(store, FAILED)
            await end(store, DONE)  # ran
            assert await states(store, b, c, d) == ["SKIPPED"] * 3
            await store.redrive(a)
            assert await states(store, a, b, c, x, d, ran) == [
                "QUEUED",
                "WAITING",
                "WAITING",
                "QUEUED",
                "WAITING",
                "SUCCEEDED",
            ]
            assert (await store.get(d)).waits == 3
            for _ in range(4):
                await end(store, DONE)
            assert (await claim_one(store)).job.id == d

        run(body)

    def test_a_revived_job_still_gets_the_file_of_its_other_parent(
        self, run: Run
    ) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            a, b = await submit(store, new_job(priority=1), new_job())
            (c,) = await submit(store, reader(b, after=after(a)))
            await end(store, FAILED)  # a
            await end(store, done(out="sha256:2"))  # b, while c is SKIPPED
            await store.redrive(a)
            await end(store, DONE)
            ready = await store.get(c)
            assert ready.state is JobState.QUEUED
            assert ready.spec["inputs"][0]["digest"] == "sha256:2"

        run(body)

    def test_a_child_cannot_be_redriven_before_its_parent(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            _a, b = await submit(store, new_job(), new_job(after=after(0)))
            await end(store, FAILED)
            with pytest.raises(Conflict, match="may still succeed"):
                await store.redrive(b)
            (c, d) = await submit(store, new_job(), new_job(after=after(0)))
            await store.request_cancel(d)
            await store.request_cancel(c)
            with pytest.raises(Conflict, match="may still succeed"):
                await store.redrive(d)
            await store.redrive(c)
            assert await states(store, d) == ["CANCELLED"]
            await store.redrive(d)
            assert await states(store, c, d) == ["QUEUED", "WAITING"]

        run(body)

    def test_a_late_end_of_a_zombie_settles_nothing(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            from services.errors import StaleFence

            a, b = await submit(store, new_job(), new_job(after=after(0)))
            zombie = await claim_one(store)
            clock.forward(LEASE_S + 1)
            await store.sweep()
            await claim_one(store, owner="w2")
            with pytest.raises(StaleFence):
                await store.complete(a, zombie.fence, DONE)
            assert await states(store, a, b) == ["RUNNING", "WAITING"]

        run(body)

    def test_a_parent_is_kept_while_a_job_waits_for_it(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            a, b, c = await submit(
                store, new_job(priority=1), new_job(), new_job(after=after(0, 1))
            )
            await end(store, DONE)
            with pytest.raises(Conflict, match=f"but {c} does"):
                await store.delete(a)
            await store.request_cancel(c)
            await store.delete(a)
            family = await store.relatives(c)
            assert family.parents == {b: (True, JobState.QUEUED)}
            assert family.children == {}

        run(body)

    def test_an_idempotent_graph_is_stored_once(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            jobs = [new_job(), reader(0), new_job(after=after(1))]
            first = await store.submit_many(jobs, key())
            again = await store.submit_many(jobs, key())
            assert [one.job.id for one in again] == [one.job.id for one in first]
            assert all(one.replayed for one in again)
            family = await store.relatives(first[1].job.id)
            assert list(family.children) == [first[2].job.id]

        run(body)

    def test_many_children_and_many_parents(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            width = 700  # more than one IN list
            middle = [new_job(after=after(0)) for _ in range(width)]
            last = new_job(after=after(*range(1, width + 1)))
            ids = await submit(store, new_job(priority=1), *middle, last)
            await end(store, DONE)
            claims = await store.claim(
                "w", kinds=["probe"], lease_s=LEASE_S, limit=width + 1
            )
            assert len(claims) == width
            await asyncio.gather(
                *(store.complete(one.job.id, one.fence, DONE) for one in claims)
            )
            assert await states(store, ids[-1]) == ["QUEUED"]

        run(body)

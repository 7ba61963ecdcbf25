"""Submitting jobs, idempotency, reading and listing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.errors import BadRequest, Conflict, NotFound
from services.store.types import (
    JobFilter,
    JobStore,
    Position,
)
from tests.contracts.store.common import (
    Clock,
    claim_one,
    key,
    new_job,
)
from trimtab.results import EventType, JobState


class Submission:
    """Submitting jobs, idempotency, reading and listing."""

    # --- submit
    def test_a_job_is_read_back_as_it_was_submitted(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            spec = {"text": '∞ " \\ \n', "n": -(2**62), "nested": [{"x": None}, 0.1]}
            request = new_job(
                spec=spec,
                labels={"a/b": "ü"},
                priority=-3,
                seed=2**63 - 1,
                webhook={"url": "http://h/"},
            )
            submitted = await store.submit(request)
            job = await store.get(submitted.job.id)
            assert job == submitted.job
            assert not submitted.replayed
            assert (job.spec, job.labels, job.priority, job.seed) == (
                spec,
                {"a/b": "ü"},
                -3,
                2**63 - 1,
            )
            assert (job.state, job.attempt, job.fence, job.last_seq) == (
                JobState.QUEUED,
                0,
                0,
                1,
            )
            assert job.created_us == job.run_at_us == clock.us
            (event,) = await store.events(job.id)
            assert (event.seq, event.type, event.data) == (
                1,
                EventType.STATE,
                {"state": "QUEUED", "attempt": 0},
            )

        run(body)

    def test_ids_sort_as_they_were_submitted(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            ids = [(await store.submit(new_job())).job.id for _ in range(20)]
            ids += [
                s.job.id
                for s in await store.submit_many([new_job() for _ in range(1200)])
            ]
            assert ids == sorted(set(ids))
            assert await store.submit_many([]) == []

        run(body)

    def test_a_batch_is_all_or_none(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            with pytest.raises(BadRequest, match="one tenant"):
                await store.submit_many([new_job(), new_job(tenant="b")])
            with pytest.raises(BadRequest, match="NUL"):
                await store.submit_many([new_job(), new_job(labels={"a": "\x00"})])
            assert sum((await store.counts()).values()) == 0

        run(body)

    # --- idempotency
    def test_the_same_key_and_body_replays(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            first = await store.submit(new_job(), key())
            again = await store.submit(new_job(), key())
            assert (again.job, again.replayed) == (first.job, True)
            await claim_one(store)
            assert (await store.submit(new_job(), key())).job.state is JobState.RUNNING
            assert sum((await store.counts()).values()) == 1

        run(body)

    def test_the_same_key_with_another_body_is_a_conflict(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            await store.submit(new_job(), key())
            with pytest.raises(Conflict, match="got another"):
                await store.submit(new_job(), key(digest="other"))
            # Keys are each tenant's own.
            await store.submit(new_job(tenant="b"), key(digest="other"))
            assert sum((await store.counts()).values()) == 2

        run(body)

    def test_a_batch_key_covers_the_batch(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            jobs = [new_job(seed=n) for n in range(1100)]
            first = await store.submit_many(jobs, key())
            again = await store.submit_many(jobs, key())
            assert [s.job for s in again] == [s.job for s in first]
            assert all(s.replayed for s in again)

        run(body)

    def test_an_expired_key_begins_anew(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            first = await store.submit(new_job(), key(ttl_s=60))
            clock.forward(60)
            second = await store.submit(new_job(), key(digest="other", ttl_s=60))
            assert not second.replayed
            assert second.job.id != first.job.id
            clock.forward(60)
            await store.sweep()
            assert not (await store.submit(new_job(), key())).replayed

        run(body)

    def test_a_late_retry_does_not_run_a_deleted_job_again(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            job = (await store.submit(new_job(), key())).job
            await store.request_cancel(job.id)
            await store.delete(job.id)
            with pytest.raises(Conflict, match="deleted"):
                await store.submit(new_job(), key())

        run(body)

    def test_identical_submits_at_once_make_one_job(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            names = [f"k{n % 5}" for n in range(60)]
            submissions = await asyncio.gather(
                *(store.submit(new_job(), key(name)) for name in names)
            )
            assert sum(not s.replayed for s in submissions) == 5
            assert sum((await store.counts()).values()) == 5
            ids = dict(zip(names, (s.job.id for s in submissions), strict=True))
            assert all(
                s.job.id == ids[name] for name, s in zip(names, submissions, strict=True)
            )

        run(body)

    # --- reading
    def test_another_tenants_job_is_not_found(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            assert await store.get(job.id, tenant="a") == job
            acts: list[Callable[..., Awaitable[object]]] = [
                store.get,
                store.request_cancel,
                store.request_stop,
                store.redrive,
                store.delete,
            ]
            for act in acts:
                for job_id, tenant in (
                    (job.id, "b"),
                    ("job_none", None),
                    ("nul\x00", None),
                    ("\ud800", None),
                ):
                    with pytest.raises(NotFound):
                        await act(job_id, tenant=tenant)
            assert await store.get(job.id) == job

        run(body)

    def test_listing_filters_and_pages_newest_first(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            jobs = []
            for n in range(12):
                labels = {"n": str(n), "parity": str(n % 2)}
                request = new_job(
                    tenant="ab"[n % 3 == 0],
                    kind=("probe", "ilp")[n % 4 == 0],
                    labels=labels,
                )
                jobs.append((await store.submit(request)).job)
                clock.forward(1)
            await store.request_cancel(jobs[5].id)

            async def listed(
                limit: int = 100, before: str | None = None, **where: Any
            ) -> list[int]:
                listed_jobs = await store.list_jobs(
                    JobFilter(**where), limit=limit, after=before and Position(id=before)
                )
                assert all((job.spec, job.result) == ({}, None) for job in listed_jobs)
                return [int(job.labels["n"]) for job in listed_jobs]

            assert await listed() == list(range(11, -1, -1))
            assert await listed(tenant="b") == [9, 6, 3, 0]
            assert await listed(kinds=["ilp"]) == [8, 4, 0]
            assert await listed(kinds=["ilp"], tenant="b") == [0]
            assert await listed(states=[JobState.CANCELLED]) == [5]
            assert await listed(
                states=[JobState.CANCELLED, JobState.QUEUED], tenant="a", limit=3
            ) == [11, 10, 8]
            assert await listed(labels={"parity": "1"}) == [11, 9, 7, 5, 3, 1]
            assert await listed(labels={"parity": "1", "n": "3"}) == [3]
            assert await listed(labels={"parity": "1", "n": "2"}) == []
            assert await listed(
                created_after_us=jobs[3].created_us, created_before_us=jobs[5].created_us
            ) == [4, 3]
            assert await listed(limit=0) == []
            assert (
                await listed(labels={"parity": "\x00"})
                == await listed(kinds=["\ud800"])
                == []
            )
            assert await listed(created_before_us=10**30) == list(range(11, -1, -1))
            pages: list[int] = []
            cursor: str | None = None
            while page := await store.list_jobs(
                JobFilter(), limit=5, after=cursor and Position(id=cursor)
            ):
                pages += [int(job.labels["n"]) for job in page]
                cursor = page[-1].id
            assert pages == list(range(11, -1, -1))

        run(body)

    def test_counts_by_state_and_tenant(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            await store.submit_many([new_job() for _ in range(3)])
            await store.submit_many([new_job(tenant="b") for _ in range(2)])
            await claim_one(store)
            zero = dict.fromkeys(JobState, 0)
            assert await store.counts() == zero | {
                JobState.QUEUED: 4,
                JobState.RUNNING: 1,
            }
            assert await store.counts("a") == zero | {
                JobState.QUEUED: 2,
                JobState.RUNNING: 1,
            }
            assert await store.counts("nobody") == zero

        run(body)

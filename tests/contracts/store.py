"""The store's contract. Each implementation subclasses `StoreContract` and gives `make(clock)`.

The clock is the test's own, so that leases run out without waiting.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from services.errors import BadRequest, Conflict, NotFound, StaleFence
from services.store.types import (
    ApiKeyRecord,
    ArtifactRecord,
    Claim,
    Completion,
    Idempotency,
    JobFilter,
    JobStore,
    NewEvent,
    NewJob,
)
from trimtab.results import EventType, JobState

LEASE_S = 30.0
DONE = Completion(
    verb="succeed",
    termination={"reason": "optimal", "limit": None},
    outcome="result",
    result={"objective": 1.5},
)
LOST = Completion(
    verb="lose", termination={"reason": "worker_lost", "limit": None}, outcome="lost"
)


class Clock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.us = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.us

    def forward(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)


def new_job(**more: Any) -> NewJob:
    return NewJob(
        **{
            "tenant": "a",
            "kind": "probe",
            "spec": {"steps": 1},
            "budget": {"seconds": 60.0},
            "seed": 7,
        }
        | more
    )


def key(name: str = "k", digest: str = "d", **more: Any) -> Idempotency:
    return Idempotency(key=name, request_digest=digest, **more)


def incumbent(objective: float) -> NewEvent:
    return NewEvent(
        type=EventType.INCUMBENT, data={"elapsed_s": 0.1, "objective": objective}
    )


async def claim_one(store: JobStore, owner: str = "w1", **more: Any) -> Claim:
    (claim,) = await store.claim(owner, kinds=["probe"], lease_s=LEASE_S, **more)
    return claim


async def state_of(store: JobStore, job_id: str) -> JobState:
    return (await store.get(job_id)).state


class StoreContract:
    """Subclass as `TestX` and define `make`."""

    def make(self, clock: Callable[[], int]) -> JobStore:
        raise NotImplementedError

    @pytest.fixture
    def run(self) -> Callable[[Callable[[JobStore, Clock], Awaitable[None]]], None]:
        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[JobStore]:
            store = self.make(clock)
            await store.open()
            try:
                yield store
            finally:
                await store.close()

        def go(body: Callable[[JobStore, Clock], Awaitable[None]]) -> None:
            async def main() -> None:
                clock = Clock()
                async with opened(clock) as store:
                    await asyncio.wait_for(body(store, clock), 60)

            asyncio.run(main())

        return go

    # -- checkpoints ----------------------------------------------------------------------------------------------
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
            assert (await claim_one(store)).job.has_checkpoint, "a re-drive begins from it"

        run(body)

    def test_stop_and_cancel_of_a_job_with_a_checkpoint(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            stopped, cancelled = [(await store.submit(new_job())).job.id for _ in range(2)]
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

    # -- submit ---------------------------------------------------------------------------------------------------
    def test_a_job_is_read_back_as_it_was_submitted(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            spec = {"text": '∞ " \\ \n', "n": -(2**62), "nested": [{"x": None}, 0.1]}
            told = new_job(
                spec=spec,
                labels={"a/b": "ü"},
                priority=-3,
                seed=2**63 - 1,
                webhook={"url": "http://h/"},
            )
            submitted = await store.submit(told)
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
                s.job.id for s in await store.submit_many([new_job() for _ in range(1200)])
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

    # -- idempotency ----------------------------------------------------------------------------------------------
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
            await store.submit(
                new_job(tenant="b"), key(digest="other")
            )  # keys are each tenant's own
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
            told = await asyncio.gather(
                *(store.submit(new_job(), key(name)) for name in names)
            )
            assert sum(not s.replayed for s in told) == 5
            assert sum((await store.counts()).values()) == 5
            ids = dict(zip(names, (s.job.id for s in told), strict=True))
            assert all(s.job.id == ids[name] for name, s in zip(names, told, strict=True))

        run(body)

    # -- reading --------------------------------------------------------------------------------------------------
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
                told = new_job(
                    tenant="ab"[n % 3 == 0],
                    kind=("probe", "ilp")[n % 4 == 0],
                    labels=labels,
                )
                jobs.append((await store.submit(told)).job)
                clock.forward(1)
            await store.request_cancel(jobs[5].id)

            async def listed(
                limit: int = 100, before: str | None = None, **where: Any
            ) -> list[int]:
                found = await store.list_jobs(
                    JobFilter(**where), limit=limit, before_id=before
                )
                assert all((job.spec, job.result) == ({}, None) for job in found)
                return [int(job.labels["n"]) for job in found]

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
            while page := await store.list_jobs(JobFilter(), limit=5, before_id=cursor):
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
            assert await store.counts() == zero | {JobState.QUEUED: 4, JobState.RUNNING: 1}
            assert await store.counts("a") == zero | {
                JobState.QUEUED: 2,
                JobState.RUNNING: 1,
            }
            assert await store.counts("nobody") == zero

        run(body)

    # -- claims ---------------------------------------------------------------------------------------------------
    def test_claims_take_the_highest_priority_then_the_oldest(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            priorities = [0, 5, -1, 5, 0]
            ids = [(await store.submit(new_job(priority=p))).job.id for p in priorities]
            await store.submit(new_job(kind="other", priority=100))
            assert await store.claim("w", kinds=[], lease_s=1) == []
            first = await store.claim("w", kinds=["probe"], lease_s=LEASE_S, limit=2)
            rest = await store.claim("w", kinds=["probe", "ilp"], lease_s=LEASE_S, limit=10)
            assert [c.job.id for c in first + rest] == [
                ids[1],
                ids[3],
                ids[0],
                ids[4],
                ids[2],
            ]
            assert await store.claim("w", kinds=["probe"], lease_s=LEASE_S) == []

        run(body)

    def test_a_claim_is_a_lease_with_a_fence(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            clock.forward(5)
            claim = await claim_one(store, "host-1")
            assert (claim.fence, claim.lease_until_us) == (1, clock.us + 30_000_000)
            assert claim.job == await store.get(job.id)
            assert (claim.job.state, claim.job.attempt, claim.job.owner) == (
                JobState.RUNNING,
                1,
                "host-1",
            )
            assert claim.job.started_us == claim.job.heartbeat_us == clock.us
            (attempt,) = await store.attempts(job.id)
            assert (attempt.number, attempt.fence, attempt.worker, attempt.outcome) == (
                1,
                1,
                "host-1",
                None,
            )
            assert (await store.events(job.id))[-1].data == {
                "state": "RUNNING",
                "attempt": 1,
            }

        run(body)

    def test_no_job_is_claimed_twice(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            await store.submit_many([new_job() for _ in range(40)])

            async def worker(name: str) -> list[str]:
                mine: list[str] = []
                while claims := await store.claim(
                    name, kinds=["probe"], lease_s=LEASE_S, limit=3
                ):
                    mine += [c.job.id for c in claims]
                return mine

            taken = list(
                itertools.chain(*await asyncio.gather(*(worker(f"w{n}") for n in range(6))))
            )
            assert len(taken) == len(set(taken))
            # SKIP LOCKED may make a worker leave early while others still hold the last rows, but nothing is lost.
            taken += await worker("last")
            assert len(set(taken)) == 40

        run(body)

    def test_a_heartbeat_extends_the_lease_and_tells_of_requests(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            claim = await claim_one(store)
            clock.forward(20)
            signals = await store.renew(job.id, claim.fence, lease_s=LEASE_S)
            assert signals.lease_until_us == clock.us + 30_000_000
            assert not (signals.stop_requested)
            assert not (signals.cancel_requested)
            await store.request_stop(job.id)
            assert (await store.renew(job.id, claim.fence, lease_s=LEASE_S)).stop_requested
            await store.request_cancel(job.id)
            assert (
                await store.renew(job.id, claim.fence, lease_s=LEASE_S)
            ).cancel_requested
            assert (await store.get(job.id)).heartbeat_us == clock.us

        run(body)

    # -- progress -------------------------------------------------------------------------------------------------
    def test_events_are_numbered_without_holes(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            claim = await claim_one(store)

            async def tell(n: int) -> int:
                return await store.append(
                    job.id, claim.fence, [incumbent(n), incumbent(n + 0.5)]
                )

            ends = await asyncio.gather(*(tell(n) for n in range(20)))
            assert sorted(ends) == list(range(4, 43, 2))
            events = await store.events(job.id)
            assert [e.seq for e in events] == list(range(1, 43))
            for end, n in zip(ends, range(20), strict=True):
                assert [e.data["objective"] for e in events[end - 2 : end]] == [n, n + 0.5]
            assert [e.seq for e in await store.events(job.id, after_seq=40)] == [41, 42]
            assert [e.seq for e in await store.events(job.id, after_seq=5, limit=2)] == [
                6,
                7,
            ]
            assert (
                await store.events(job.id, after_seq=10**30)
                == await store.events("none\x00")
                == []
            )

        run(body)

    def test_the_newest_phase_and_incumbent_stay_on_the_job(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            fence = (await claim_one(store)).fence
            phase = NewEvent(type=EventType.PHASE, data={"phase": "search"})
            log = NewEvent(
                type=EventType.LOG,
                data={"level": "info", "message": "odd \ud800 text \x00"},
            )
            assert (
                await store.append(job.id, fence, [incumbent(9), phase, incumbent(8), log])
                == 6
            )
            assert await store.append(job.id, fence, []) == 6
            now = await store.get(job.id)
            assert (now.phase, now.best, now.last_seq) == (
                "search",
                {"elapsed_s": 0.1, "objective": 8},
                6,
            )
            assert (await store.events(job.id))[-1].data["message"] == "odd � text \x00"

        run(body)

    # -- the end --------------------------------------------------------------------------------------------------
    def test_completion_writes_everything_at_once(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            job = (
                await store.submit(
                    new_job(webhook={"url": "http://h/x"}, labels={"x": "y"})
                )
            ).job
            fence = (await claim_one(store)).fence
            clock.forward(3)
            done = await store.complete(job.id, fence, DONE)
            assert done == await store.get(job.id)
            assert (done.state, done.result, done.finished_us) == (
                JobState.SUCCEEDED,
                {"objective": 1.5},
                clock.us,
            )
            assert (done.owner, done.lease_until_us, done.heartbeat_us) == (
                None,
                None,
                None,
            )
            (attempt,) = await store.attempts(job.id)
            assert (attempt.ended_us, attempt.outcome) == (clock.us, "result")
            last = (await store.events(job.id))[-1]
            assert last.data == {
                "state": "SUCCEEDED",
                "attempt": 1,
                "termination": DONE.termination,
            }
            (due,) = await store.outbox_due()
            assert (due.url, due.job_id, due.tries, due.tenant) == (
                "http://h/x",
                job.id,
                0,
                "a",
            )
            assert (due.payload["state"], due.payload["termination"]) == (
                "SUCCEEDED",
                DONE.termination,
            )

        run(body)

    @pytest.mark.parametrize(
        ("verb", "state"),
        [("fail", JobState.FAILED), ("confirm_cancel", JobState.CANCELLED)],
    )
    def test_other_ends(self, run: Any, verb: str, state: JobState) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            fence = (await claim_one(store)).fence
            told = Completion(
                verb=verb,
                termination={"reason": "cancelled"},
                outcome="x",
                best={"objective": 3},
            )
            assert (await store.complete(job.id, fence, told)).state is state
            assert (await store.get(job.id)).best == {"objective": 3}
            assert await store.outbox_due() == []

        run(body)

    def test_a_verb_that_ends_nothing_is_refused(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            fence = (await claim_one(store)).fence
            with pytest.raises(ValueError, match="verb: expected one of"):
                await store.complete(
                    job.id, fence, Completion(verb="redrive", termination={}, outcome="x")
                )
            assert await state_of(store, job.id) is JobState.RUNNING

        run(body)

    def test_a_lost_attempt_waits_for_its_back_off_and_the_last_one_kills(
        self, run: Any
    ) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            job = (
                await store.submit(new_job(max_attempts=2, webhook={"url": "http://h/"}))
            ).job
            claim = await claim_one(store)
            late = Completion(
                verb="lose",
                termination={"reason": "worker_lost"},
                outcome="lost",
                retry_delay_s=10,
            )
            again = await store.complete(job.id, claim.fence, late)
            assert (again.state, again.run_at_us) == (
                JobState.QUEUED,
                clock.us + 10_000_000,
            )
            assert again.termination is None
            assert await store.claim("w", kinds=["probe"], lease_s=1) == []
            assert await store.outbox_due() == []
            clock.forward(10)
            claim = await claim_one(store)
            assert (claim.fence, claim.job.attempt) == (2, 2)
            dead = await store.complete(job.id, claim.fence, LOST)
            assert dead.state is JobState.DEAD
            assert dead.termination == {"reason": "worker_lost", "limit": "attempts"}
            assert [a.outcome for a in await store.attempts(job.id)] == ["lost", "lost"]
            assert len(await store.outbox_due()) == 1

        run(body)

    # -- fences ---------------------------------------------------------------------------------------------------
    def test_a_stale_writer_is_refused_and_counted_and_changes_nothing(
        self, run: Any
    ) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            job = (await store.submit(new_job(webhook={"url": "http://h/"}))).job
            old = await claim_one(store, "old")
            clock.forward(LEASE_S)
            assert [j.id for j in await store.sweep()] == [job.id]
            new = await claim_one(store, "new")
            before = (
                await store.get(job.id),
                await store.events(job.id),
                await store.attempts(job.id),
            )
            with pytest.raises(StaleFence):
                await store.renew(job.id, old.fence, lease_s=LEASE_S)
            with pytest.raises(StaleFence):
                await store.append(job.id, old.fence, [incumbent(1)])
            with pytest.raises(StaleFence):
                await store.complete(job.id, old.fence, DONE)
            with pytest.raises(StaleFence):
                await store.complete("job_none", 1, DONE)
            after = (
                await store.get(job.id),
                await store.events(job.id),
                await store.attempts(job.id),
            )
            assert after == before
            assert await store.stale_writes() == 4
            assert (
                await store.complete(job.id, new.fence, DONE)
            ).state is JobState.SUCCEEDED
            with pytest.raises(StaleFence):
                await store.complete(job.id, new.fence, DONE)
            assert len(await store.outbox_due()) == 1
            assert await store.stale_writes() == 5

        run(body)

    def test_a_lease_that_ran_out_cannot_be_renewed_but_finished_work_is_taken(
        self, run: Any
    ) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            claim = await claim_one(store)
            clock.forward(LEASE_S)
            with pytest.raises(StaleFence):
                await store.renew(job.id, claim.fence, lease_s=LEASE_S)
            await store.append(job.id, claim.fence, [incumbent(1)])
            assert (
                await store.complete(job.id, claim.fence, DONE)
            ).state is JobState.SUCCEEDED

        run(body)

    def test_the_sweep_takes_back_only_leases_that_ran_out(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            ids = [
                (await store.submit(new_job(max_attempts=1 + n))).job.id for n in range(3)
            ]
            claims = await store.claim("w", kinds=["probe"], lease_s=LEASE_S, limit=3)
            clock.forward(20)
            await store.renew(ids[2], claims[2].fence, lease_s=LEASE_S)
            clock.forward(9.999_999)
            assert await store.sweep() == []
            clock.forward(0.000_001)
            assert [j.state for j in await store.sweep(limit=1)] == [JobState.DEAD]
            (moved,) = await store.sweep()
            assert (moved.id, moved.state, moved.run_at_us) == (
                ids[1],
                JobState.QUEUED,
                clock.us,
            )
            assert [await state_of(store, i) for i in ids] == [
                JobState.DEAD,
                JobState.QUEUED,
                JobState.RUNNING,
            ]
            assert (await store.attempts(ids[0]))[0].outcome == "lost"
            dead = await store.get(ids[0])
            assert dead.termination is not None
            assert (dead.termination["reason"], dead.termination["limit"]) == (
                "worker_lost",
                "attempts",
            )

        run(body)

    # -- the owner's words ----------------------------------------------------------------------------------------
    def test_cancel(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            queued = (await store.submit(new_job(webhook={"url": "http://h/"}))).job
            cancelled = await store.request_cancel(queued.id, tenant="a")
            assert (cancelled.state, cancelled.cancel_requested) == (
                JobState.CANCELLED,
                True,
            )
            assert (
                cancelled
                == await store.request_cancel(queued.id)
                == await store.get(queued.id)
            )
            assert len(await store.outbox_due()) == 1
            running = (await store.submit(new_job())).job
            claim = await claim_one(store)
            flagged = await store.request_cancel(running.id)
            assert (flagged.state, flagged.cancel_requested) == (JobState.RUNNING, True)
            assert (await store.request_cancel(running.id)).last_seq == flagged.last_seq
            assert (
                await store.complete(running.id, claim.fence, LOST)
            ).state is JobState.CANCELLED
            done = (await store.submit(new_job())).job
            await store.complete(done.id, (await claim_one(store)).fence, DONE)
            with pytest.raises(Conflict, match="SUCCEEDED"):
                await store.request_cancel(done.id)

        run(body)

    def test_stop(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            queued = (await store.submit(new_job())).job
            assert (await store.request_stop(queued.id)).state is JobState.CANCELLED
            assert (await store.request_stop(queued.id)).state is JobState.CANCELLED
            running = (await store.submit(new_job())).job
            claim = await claim_one(store)
            flagged = await store.request_stop(running.id)
            assert (flagged.state, flagged.stop_requested) == (JobState.RUNNING, True)
            done = await store.complete(running.id, claim.fence, DONE)
            assert done == await store.request_stop(running.id)
            failed = (await store.submit(new_job())).job
            told = Completion(
                verb="fail", termination={"reason": "invalid_input"}, outcome="failed"
            )
            await store.complete(failed.id, (await claim_one(store)).fence, told)
            with pytest.raises(Conflict, match="FAILED"):
                await store.request_stop(failed.id)

        run(body)

    def test_redrive_begins_anew_and_keeps_fence_and_history(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            job = (await store.submit(new_job(max_attempts=1))).job
            fence = (await claim_one(store)).fence
            await store.append(job.id, fence, [incumbent(4)])
            told = Completion(
                verb="fail",
                termination={"reason": "x"},
                outcome="failed",
                result={"r": 1},
                artifacts=["o"],
            )
            await store.complete(job.id, fence, told)
            assert (await store.get(job.id)).result == {"r": 1}
            clock.forward(1)
            again = await store.redrive(job.id)
            assert again == await store.get(job.id)
            assert (again.state, again.attempt, again.fence) == (JobState.QUEUED, 0, 1)
            assert (again.best, again.result, again.termination, again.finished_us) == (
                None,
                None,
                None,
                None,
            )
            assert (again.run_at_us, again.last_seq) == (clock.us, 5)
            claim = await claim_one(store)
            assert (claim.fence, claim.job.attempt) == (2, 1)
            await store.complete(job.id, claim.fence, DONE)
            assert [(a.number, a.fence) for a in await store.attempts(job.id)] == [
                (1, 1),
                (1, 2),
            ]
            with pytest.raises(Conflict, match="cannot redrive"):
                await store.redrive(job.id)

        run(body)

    def test_delete_only_what_has_ended(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            job = (
                await store.submit(new_job(labels={"a": "b"}, artifacts=["sha256:1"]))
            ).job
            with pytest.raises(Conflict, match="QUEUED"):
                await store.delete(job.id)
            fence = (await claim_one(store)).fence
            with pytest.raises(Conflict, match="RUNNING"):
                await store.delete(job.id, tenant="a")
            await store.complete(job.id, fence, DONE)
            await store.delete(job.id)
            with pytest.raises(NotFound):
                await store.get(job.id)
            assert await store.events(job.id) == await store.attempts(job.id) == []
            assert await store.list_jobs(JobFilter(labels={"a": "b"}), limit=5) == []
            with pytest.raises(StaleFence):
                await store.append(job.id, fence, [incumbent(1)])

        run(body)

    # -- outbox ---------------------------------------------------------------------------------------------------
    def test_a_delivery_is_taken_by_one_and_comes_again_until_done(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            for _ in range(3):
                job = (await store.submit(new_job(webhook={"url": "http://h/"}))).job
                await store.request_cancel(job.id)
                await store.delete(job.id)  # its last word is still delivered
                clock.forward(1)
            taken = await store.outbox_due(limit=2, lock_s=60)
            assert len(taken) == 2
            assert len(await store.outbox_due()) == 1
            assert await store.outbox_due() == []
            await store.outbox_done(taken[0].id)
            await store.outbox_retry(taken[1].id, delay_s=5)
            clock.forward(5)
            (again,) = await store.outbox_due()
            assert (again.id, again.tries) == (taken[1].id, 1)
            clock.forward(60)
            assert len(await store.outbox_due()) == 2

        run(body)

    def test_the_owner_learns_what_became_of_a_delivery(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            jobs = [
                (await store.submit(new_job(webhook={"url": "http://h/"}))).job
                for _ in range(3)
            ]
            for job in jobs:
                await store.request_cancel(job.id)
            sent, given_up, gone = await store.outbox_due()
            assert await store.delivery(sent.job_id) is None
            await store.outbox_retry(sent.id, delay_s=5, detail="answered 500")
            waiting = await store.delivery(sent.job_id)
            assert waiting is not None
            assert (waiting.state, waiting.tries, waiting.detail) == (
                "waiting",
                1,
                "answered 500",
            )
            await store.outbox_done(sent.id)
            delivered = await store.delivery(sent.job_id)
            assert delivered is not None
            assert (delivered.state, delivered.tries, delivered.detail) == (
                "delivered",
                2,
                "",
            )
            await store.outbox_done(
                given_up.id, delivered=False, detail="refused: \x00\ud800"
            )
            refused = await store.delivery(given_up.job_id)
            assert refused is not None
            assert (refused.state, refused.tries) == ("given up", 1)
            assert "\x00" not in refused.detail
            await store.delete(gone.job_id)
            await store.outbox_done(gone.id)  # nobody is left to tell
            await store.outbox_done(gone.id)  # and twice is no fault
            assert await store.delivery(gone.job_id) is None
            await store.delete(sent.job_id)

        run(body)

    def test_an_ended_session_stays_ended_until_its_own_end(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            assert not await store.session_ended("a")
            await store.end_session("a", expires_us=await store.now_us() + 10_000_000)
            await store.end_session("a", expires_us=await store.now_us() + 10_000_000)
            assert await store.session_ended("a")
            assert not await store.session_ended("b")
            assert not await store.session_ended("\x00\ud800")
            clock.forward(20)
            await store.end_session("b", expires_us=await store.now_us() + 10_000_000)
            assert not await store.session_ended(
                "a"
            )  # forgotten: its cookie is too old by itself
            assert await store.session_ended("b")

        run(body)

    def test_a_probe_of_writing_changes_nothing(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            before = await store.counts()
            await store.probe_write()
            await store.probe_write()
            assert await store.counts() == before
            assert await store.stale_writes() == 0

        run(body)

    # -- artifacts and keys ---------------------------------------------------------------------------------------
    def test_artifacts_live_as_long_as_a_job_refers_to_them(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            def file(digest: str, tenant: str = "a", size: int = 10) -> ArtifactRecord:
                return ArtifactRecord(
                    digest=digest,
                    tenant=tenant,
                    name="m.mps",
                    media_type="t/x",
                    size_bytes=size,
                    created_us=clock.us,
                )

            first = await store.put_artifact(file("d1"))
            clock.forward(1)
            assert await store.put_artifact(file("d1", size=10)) == first
            await store.put_artifact(file("d1", "b"))
            await store.put_artifact(file("d2", size=5))
            await store.put_artifact(file("out", size=2))
            assert (
                await store.artifact_bytes("a"),
                await store.artifact_bytes("none"),
            ) == (17, 0)
            assert (
                await store.get_artifact("d1", tenant="a")
                == await store.get_artifact("d1")
                == first
            )
            for digest, tenant in (("d2", "b"), ("none", None), ("\x00", None)):
                with pytest.raises(NotFound):
                    await store.get_artifact(digest, tenant=tenant)
            job = (await store.submit(new_job(artifacts=["d1", "d1"]))).job
            fence = (await claim_one(store)).fence
            told = Completion(
                verb="succeed", termination={}, outcome="result", artifacts=["out"]
            )
            await store.complete(job.id, fence, told)
            clock.forward(1)

            async def unused() -> list[tuple[str, str]]:
                found = await store.unreferenced_artifacts(older_than_us=clock.us)
                return [(a.digest, a.tenant) for a in found]

            assert await unused() == [("d1", "b"), ("d2", "a")]
            assert await store.unreferenced_artifacts(older_than_us=first.created_us) == []
            assert not await store.delete_artifact("d1", tenant="a")  # a job refers to it
            assert not await store.delete_artifact(
                "d1", tenant="b"
            )  # tenant a still has it
            assert await store.delete_artifact("d2", tenant="a")
            await store.delete(job.id)
            assert await unused() == [("d1", "a"), ("out", "a")]
            assert await store.delete_artifact("d1", tenant="a")

        run(body)

    def test_keys(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            one = ApiKeyRecord(
                id="k1",
                tenant="a",
                name="n",
                secret_sha256="s",
                scopes=("viewer", "admin"),
                created_us=clock.us,
                expires_us=None,
                revoked=False,
                limits={"queued_jobs": 3},
            )
            await store.put_key(one)
            assert await store.get_key("k1") == one
            assert await store.get_key("k2") is await store.get_key("\x00") is None
            with pytest.raises(Conflict, match="exists"):
                await store.put_key(one)
            await store.revoke_key("k1")
            assert [k.revoked for k in await store.list_keys("a")] == [True]
            assert await store.list_keys("b") == []
            for unknown in ("k2", "\x00"):
                with pytest.raises(NotFound):
                    await store.revoke_key(unknown)

        run(body)

    def test_it_answers(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            await store.ping()
            assert await store.now_us() == clock.us

        run(body)

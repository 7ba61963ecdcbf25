"""Claims under a lease, events, ends and fences of attempts."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from services.errors import StaleFence
from services.store.types import (
    Completion,
    JobStore,
    NewEvent,
)
from tests.contracts.store.common import (
    DONE,
    LEASE_S,
    LOST,
    Clock,
    claim_one,
    incumbent,
    new_job,
    state_of,
)
from trimtab.results import EventType, JobState


class Attempts:
    """Claims under a lease, events, ends and fences of attempts."""

    # --- claims
    def test_claims_take_the_highest_priority_then_the_oldest(self, run: Any) -> None:
        async def body(store: JobStore, _clock: Clock) -> None:
            priorities = [0, 5, -1, 5, 0]
            ids = [(await store.submit(new_job(priority=p))).job.id for p in priorities]
            await store.submit(new_job(kind="other", priority=100))
            assert await store.claim("w", kinds=[], lease_s=1) == []
            first = await store.claim("w", kinds=["probe"], lease_s=LEASE_S, limit=2)
            rest = await store.claim(
                "w", kinds=["probe", "ilp"], lease_s=LEASE_S, limit=10
            )
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
                itertools.chain(
                    *await asyncio.gather(*(worker(f"w{n}") for n in range(6)))
                )
            )
            assert len(taken) == len(set(taken))
            # SKIP LOCKED may let a worker end early while others lock the last rows; nothing is
            # lost.
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
            assert (
                await store.renew(job.id, claim.fence, lease_s=LEASE_S)
            ).stop_requested
            await store.request_cancel(job.id)
            assert (
                await store.renew(job.id, claim.fence, lease_s=LEASE_S)
            ).cancel_requested
            assert (await store.get(job.id)).heartbeat_us == clock.us

        run(body)

    # --- progress
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
                assert [e.data["objective"] for e in events[end - 2 : end]] == [
                    n,
                    n + 0.5,
                ]
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
                await store.append(
                    job.id, fence, [incumbent(9), phase, incumbent(8), log]
                )
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
            points = await store.newest_events(job.id, EventType.INCUMBENT)
            assert [(point.seq, point.data["objective"]) for point in points] == [
                (3, 9),
                (5, 8),
            ]
            newest = await store.newest_events(job.id, EventType.INCUMBENT, limit=1)
            assert [point.seq for point in newest] == [5]
            assert await store.newest_events("none\x00", EventType.LOG) == []

        run(body)

    # --- the end
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
            completion = Completion(
                verb=verb,
                termination={"reason": "cancelled"},
                outcome="x",
                best={"objective": 3},
            )
            assert (await store.complete(job.id, fence, completion)).state is state
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

    # --- fences
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

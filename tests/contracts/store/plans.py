"""Plans: jobs that rest, are answered and approved, start jobs of their own and wait for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.errors import Conflict, NotFound, StaleFence
from services.store.types import (
    After,
    Approval,
    Claim,
    Completion,
    JobFilter,
    JobStore,
    Memo,
    NewJob,
    OutputInput,
)
from tests.contracts.store.common import (
    DONE,
    LEASE_S,
    LOST,
    Clock,
    claim_one,
    new_job,
)
from tests.contracts.store.graphs import FAILED, done, states
from trimtab.results import JobState

Body = Callable[[JobStore, Clock], Awaitable[None]]
Run = Callable[[Body], None]
DAY_S = 86_400.0
LEAVES = (
    new_job(labels={"leaf": "l1"}),
    new_job(labels={"leaf": "l2"}, after=[After(job=0, needs_success=True)]),
)


def memo(word: str = "first") -> Memo:
    return Memo(body={"outline": {"word": word}}, digest=f"sha256:{word}")


def hold(*, asks: bool = False, word: str = "first") -> Completion:
    return Completion(
        verb="hold",
        termination={"reason": "completed", "limit": None, "detail": ""},
        outcome="rested",
        memo=memo(word),
        asks=asks,
    )


def suspend(*children: NewJob, word: str = "run") -> Completion:
    return Completion(
        verb="suspend",
        termination={"reason": "completed", "limit": None, "detail": ""},
        outcome="rested",
        memo=memo(word),
        children=children,
    )


async def rested(store: JobStore, completion: Completion, **more: Any) -> str:
    """Submit a plan and let its first run end so."""
    await store.submit(new_job(kind="plan", **more))
    claim = await claim_plan(store)
    return (await store.complete(claim.job.id, claim.fence, completion)).id


async def claim_plan(store: JobStore) -> Claim:
    (claim,) = await store.claim("w1", kinds=["plan"], lease_s=LEASE_S)
    return claim


async def end_leaf(store: JobStore, completion: Completion = DONE) -> str:
    claim = await claim_one(store)
    return (await store.complete(claim.job.id, claim.fence, completion)).id


async def leaves(store: JobStore, plan: str) -> list[str]:
    """Return the ids of the plan's jobs, oldest first."""
    listed = await store.list_jobs(JobFilter(graph=plan), limit=100)
    return sorted(job.id for job in listed if job.id != plan)


class Plans:
    def test_a_plan_rests_is_edited_and_approved(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            plan = await rested(store, hold())
            job = await store.get(plan)
            assert (job.state, job.attempt, job.fence) == ("AWAITING_APPROVAL", 0, 1)
            assert (job.owner, job.lease_until_us, job.finished_us) == (None, None, None)
            assert await store.claim("w", kinds=["plan"], lease_s=1.0) == []
            edited = await store.put_memo(plan, memo("edited"), revision=1)
            assert (edited.revision, edited.approved) == (2, None)
            assert await store.memo(plan) == edited
            approval = Approval(digest="sha256:edited", children=LEAVES)
            approved = await store.approve(plan, approval, revision=2)
            assert (approved.state, approved.waits) == ("WAITING", 2)
            first, second = await leaves(store, plan)
            assert await states(store, first, second) == ["QUEUED", "WAITING"]
            assert (await store.get(second)).graph == plan
            stored = await store.memo(plan)
            assert stored is not None
            assert (stored.revision, stored.approved) == (2, "sha256:edited")
            # The same approval again starts nothing; another one is refused.
            again = await store.approve(plan, approval, revision=2)
            assert (again.state, again.waits) == ("WAITING", 2)
            assert len(await leaves(store, plan)) == 2
            with pytest.raises(Conflict, match="AWAITING_APPROVAL"):
                await store.approve(plan, Approval(digest="sha256:x"), revision=2)
            events = [
                event.data.get("state") or event.data["message"]
                for event in await store.events(plan)
            ]
            assert events == [
                "QUEUED",
                "RUNNING",
                "AWAITING_APPROVAL",
                "outline changed: revision 2",
                "WAITING",
            ]

        run(body)

    def test_an_approval_names_what_was_seen(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            plan = await rested(store, hold())
            await store.put_memo(plan, memo("edited"), revision=1)
            for revision, digest, word in (
                (1, "sha256:first", "revision: expected 2"),
                (2, "sha256:first", "digest: expected sha256:edited of revision 2"),
            ):
                with pytest.raises(Conflict, match=word):
                    await store.approve(plan, Approval(digest=digest), revision=revision)
            with pytest.raises(Conflict, match="revision"):
                await store.put_memo(plan, memo("late"), revision=1)
            with pytest.raises(Conflict, match="NEEDS_INPUT"):
                await store.answer(plan, memo("answer"), revision=2)
            for act in (
                store.memo(plan, tenant="b"),
                store.put_memo(plan, memo(), revision=2, tenant="b"),
                store.answer(plan, memo(), revision=2, tenant="b"),
                store.approve(plan, Approval(digest=""), revision=2, tenant="b"),
                store.memo("job_0"),
            ):
                with pytest.raises(NotFound):
                    await act
            assert await states(store, plan) == ["AWAITING_APPROVAL"]
            (other,) = await store.submit_many([new_job()])
            assert await store.memo(other.job.id) is None
            with pytest.raises(Conflict, match="got a QUEUED job"):
                await store.put_memo(other.job.id, memo(), revision=1)

        run(body)

    def test_ten_answers_do_not_use_up_the_attempts(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            plan = await rested(store, hold(asks=True), max_attempts=1)
            for number in range(10):
                assert await states(store, plan) == ["NEEDS_INPUT"]
                revision = 2 * number + 1
                job = await store.answer(plan, memo("answer"), revision=revision)
                assert (job.state, job.attempt) == ("QUEUED", 0)
                claim = await claim_plan(store)
                assert (claim.job.attempt, claim.fence) == (1, number + 2)
                assert claim.job.has_memo
                ending = hold(asks=number < 9)
                await store.complete(plan, claim.fence, ending)
            assert await states(store, plan) == ["AWAITING_APPROVAL"]
            assert len(await store.attempts(plan)) == 11

        run(body)

    def test_a_plan_is_the_join_of_its_jobs(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            reader = new_job(
                spec={"inputs": [{"digest": "sha256:?"}]},
                inputs=[OutputInput(path=("inputs", 0), job=0, output="out")],
            )
            plan = await rested(store, suspend(new_job(), reader, *LEAVES[:1]))
            job = await store.get(plan)
            assert (job.state, job.waits, job.graph) == ("WAITING", 3, plan)
            first = await end_leaf(store, done(out="sha256:1"))
            assert first == (await leaves(store, plan))[0]
            await end_leaf(store)
            assert await states(store, plan) == ["WAITING"]
            await end_leaf(store, FAILED)
            assert await states(store, plan) == ["QUEUED"]
            claim = await claim_plan(store)
            assert (claim.fence, claim.job.attempt) == (2, 1)
            # A repair: one more job, which may name those of before.
            repair = new_job(after=[After(job=first, needs_success=True)])
            await store.complete(plan, claim.fence, suspend(repair))
            assert (await store.get(plan)).waits == 1
            await end_leaf(store)
            claim = await claim_plan(store)
            await store.complete(plan, claim.fence, DONE)
            assert await states(store, plan) == ["SUCCEEDED"]
            assert len(await leaves(store, plan)) == 4

        run(body)

    def test_a_late_suspend_of_a_zombie_starts_nothing(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            await store.submit(new_job(kind="plan"))
            zombie = await claim_plan(store)
            clock.forward(LEASE_S + 1)
            await store.sweep()
            second = await claim_plan(store)
            with pytest.raises(StaleFence):
                await store.complete(zombie.job.id, zombie.fence, suspend(*LEAVES))
            await store.complete(second.job.id, second.fence, suspend(*LEAVES))
            with pytest.raises(StaleFence):
                await store.complete(second.job.id, second.fence, suspend(*LEAVES))
            assert len(await leaves(store, second.job.id)) == 2

        run(body)

    def test_jobs_of_a_plan_name_only_one_another(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            plan = await rested(store, hold())
            after = [After(job=plan, needs_success=False)]
            (outside,) = await store.submit_many([new_job(after=after)])
            for other in (plan, outside.job.id, "job_0"):
                child = new_job(after=[After(job=other)])
                approval = Approval(digest="sha256:first", children=[child])
                with pytest.raises(Conflict, match="children: expected"):
                    await store.approve(plan, approval, revision=1)
            assert await states(store, plan) == ["AWAITING_APPROVAL"]
            assert await leaves(store, plan) == []
            assert await store.memo(plan) is not None

        run(body)

    def test_cancel_takes_the_jobs_of_a_plan_along(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            plan = await rested(
                store,
                suspend(*LEAVES, new_job(), new_job(after=[After(job=0)])),
                webhook={"url": "http://h/"},
            )
            after = [After(job=plan, needs_success=True)]
            (outside,) = await store.submit_many([new_job(after=after)])
            running = await claim_one(store)
            ids = await leaves(store, plan)
            await store.request_cancel(plan)
            assert await states(store, plan, *ids) == [
                "CANCELLED",
                "RUNNING",
                "CANCELLED",
                "CANCELLED",
                "CANCELLED",
            ]
            assert (await store.get(running.job.id)).cancel_requested
            assert await states(store, outside.job.id) == ["SKIPPED"]
            assert len(await store.outbox_due()) == 1
            await store.complete(running.job.id, running.fence, DONE)
            assert await states(store, plan) == ["CANCELLED"]
            # A re-drive goes on with the memo; the jobs stay as they are.
            again = await store.redrive(plan)
            assert (again.state, again.has_memo) == (JobState.QUEUED, True)
            assert (await states(store, ids[1]))[0] == "CANCELLED"

        run(body)

    def test_stop_lets_a_plan_write_what_it_has(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            plan = await rested(store, suspend(*LEAVES, new_job()))
            running = await claim_one(store)
            stopped = await store.request_stop(plan)
            assert (stopped.state, stopped.stop_requested) == ("WAITING", True)
            ids = await leaves(store, plan)
            assert await states(store, *ids) == ["RUNNING", "CANCELLED", "CANCELLED"]
            assert (await store.get(ids[0])).stop_requested
            await store.complete(running.job.id, running.fence, DONE)
            claim = await claim_plan(store)
            assert claim.job.stop_requested
            # A lost attempt does not lose the report, and nothing more is started.
            lost = await store.complete(plan, claim.fence, LOST)
            assert lost.state is JobState.QUEUED
            claim = await claim_plan(store)
            after = await store.complete(plan, claim.fence, suspend(new_job()))
            assert (after.state, len(await leaves(store, plan))) == ("QUEUED", 3)

        run(body)

    def test_stop_of_a_plan_whose_jobs_have_not_begun(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            plan = await rested(store, suspend(*LEAVES))
            stopped = await store.request_stop(plan)
            assert (stopped.state, stopped.stop_requested) == ("QUEUED", True)
            assert (await store.request_stop(plan)).state is JobState.QUEUED
            at_rest = await rested(store, hold(), priority=5)
            assert (await store.request_stop(at_rest)).state is JobState.CANCELLED

        run(body)

    def test_a_cancel_outruns_a_rest(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            for completion in (hold(), suspend(*LEAVES)):
                await store.submit(new_job(kind="plan"))
                claim = await claim_plan(store)
                await store.request_cancel(claim.job.id)
                job = await store.complete(claim.job.id, claim.fence, completion)
                assert job.state is JobState.CANCELLED
                assert job.termination is not None
                assert job.termination["reason"] == "cancelled"
                assert await leaves(store, job.id) == []

        run(body)

    def test_a_plan_at_rest_lapses(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            plan = await rested(store, hold())
            clock.forward(6.5 * DAY_S)
            await store.put_memo(plan, memo("edited"), revision=1)
            clock.forward(6.5 * DAY_S)
            assert await store.sweep() == []
            clock.forward(DAY_S)
            assert [job.id for job in await store.sweep(limit=1)] == [plan]
            job = await store.get(plan)
            assert job.state is JobState.CANCELLED
            assert job.termination is not None
            assert "within 7.5 days" in job.termination["detail"]
            assert (await store.redrive(plan)).state is JobState.QUEUED

        run(body)

    def test_a_retry_of_a_job_is_waited_for(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            plan = await rested(store, suspend(new_job(), new_job()))
            failed = await end_leaf(store, FAILED)
            await store.redrive(failed)
            assert (await store.get(plan)).waits == 2
            await end_leaf(store)
            await end_leaf(store)
            assert await states(store, plan) == ["QUEUED"]
            # One that is retried while the plan runs is waited for at its next suspend.
            claim = await claim_plan(store)
            await store.complete(plan, claim.fence, FAILED)
            await store.redrive(plan)
            claim = await claim_plan(store)
            await store.complete(plan, claim.fence, suspend())
            assert await states(store, plan) == ["QUEUED"]

        run(body)

    def test_a_memo_goes_with_its_job(self, run: Run) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            plan = await rested(store, suspend(new_job()))
            leaf = await end_leaf(store)
            with pytest.raises(Conflict, match=f"but {plan} does"):
                await store.delete(leaf)
            await store.request_cancel(plan)
            await store.delete(leaf)
            await store.delete(plan)
            with pytest.raises(NotFound):
                await store.memo(plan)
            counts = await store.counts()
            assert not any(counts.values())

        run(body)

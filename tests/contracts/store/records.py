"""Requests of owners, deliveries, sessions, artifacts and keys."""

from __future__ import annotations

from typing import Any

import pytest

from services.errors import Conflict, NotFound, StaleFence
from services.store.types import (
    ApiKeyRecord,
    ArtifactRecord,
    Completion,
    JobFilter,
    JobStore,
)
from tests.contracts.store.common import (
    DONE,
    LOST,
    Clock,
    claim_one,
    incumbent,
    new_job,
)
from trimtab.results import JobState


class Records:
    """Requests of owners, deliveries, sessions, artifacts and keys."""

    # --- the owner's words
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
            completion = Completion(
                verb="fail", termination={"reason": "invalid_input"}, outcome="failed"
            )
            await store.complete(failed.id, (await claim_one(store)).fence, completion)
            with pytest.raises(Conflict, match="FAILED"):
                await store.request_stop(failed.id)

        run(body)

    def test_redrive_begins_anew_and_keeps_fence_and_history(self, run: Any) -> None:
        async def body(store: JobStore, clock: Clock) -> None:
            job = (await store.submit(new_job(max_attempts=1))).job
            fence = (await claim_one(store)).fence
            await store.append(job.id, fence, [incumbent(4)])
            completion = Completion(
                verb="fail",
                termination={"reason": "x"},
                outcome="failed",
                result={"r": 1},
                artifacts=["o"],
            )
            await store.complete(job.id, fence, completion)
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

    # --- outbox
    def test_a_delivery_is_taken_by_one_and_comes_again_until_done(
        self, run: Any
    ) -> None:
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
            fresh = await store.delivery(sent.job_id)
            assert fresh is not None
            assert (fresh.state, fresh.tries) == ("waiting", 0)
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
            # Forgotten: its cookie is too old by itself.
            assert not await store.session_ended("a")
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

    # --- artifacts and keys
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
            completion = Completion(
                verb="succeed", termination={}, outcome="result", artifacts=["out"]
            )
            await store.complete(job.id, fence, completion)
            clock.forward(1)

            async def unused() -> list[tuple[str, str]]:
                unreferenced = await store.unreferenced_artifacts(older_than_us=clock.us)
                return [(a.digest, a.tenant) for a in unreferenced]

            assert await unused() == [("d1", "b"), ("d2", "a")]
            assert (
                await store.unreferenced_artifacts(older_than_us=first.created_us) == []
            )
            assert not await store.delete_artifact("d1", tenant="a")  # a job refers to it
            # Tenant a still has it.
            assert not await store.delete_artifact("d1", tenant="b")
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

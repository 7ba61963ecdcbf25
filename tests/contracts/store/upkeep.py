"""Retention, audit log, usage, deliveries, rotation of keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.errors import Conflict, NotFound
from services.store.types import (
    After,
    ApiKeyRecord,
    ArtifactRecord,
    Completion,
    NewEvent,
    SavedView,
)
from services.store.upkeep import (
    START,
    Actor,
    AuditFilter,
    Deed,
    ServiceStore,
    Step,
    acting,
)
from tests.contracts.store.common import DONE, Clock, claim_one, new_job
from trimtab.results import EventType, JobState
from trimtab.specs.common import JobChanges
from trimtab.upkeep import RetentionReport, RetentionRule

DAY_S = 86_400


async def ended_job(store: ServiceStore, events: int = 3, **more: Any) -> str:
    """Run a job to its end; returns its id."""
    job = (await store.submit(new_job(**more))).job
    claim = await claim_one(store)
    assert claim.job.id == job.id
    logs = [NewEvent(type=EventType.LOG, data={"n": n}) for n in range(events)]
    await store.append(job.id, claim.fence, logs)
    await store.complete(job.id, claim.fence, DONE)
    return job.id


def stored_file(digest: str, clock: Clock, size: int = 10) -> ArtifactRecord:
    return ArtifactRecord(
        digest=digest,
        tenant="a",
        name="f",
        media_type="t",
        size_bytes=size,
        created_us=clock.us,
    )


async def apply(store: ServiceStore, rule: RetentionRule, rows: int = 1000) -> Step:
    """Apply a rule step by step, as the dispatcher does; returns the sums."""
    cut = await store.cutoffs("a", rule)
    sums = {"jobs": 0, "events": 0, "files": 0, "file_bytes": 0, "protected": 0}

    async def walk(take: Any) -> None:
        after = START
        for _ in range(10_000):
            step = await take(after)
            for name in sums:
                sums[name] += getattr(step, name)
            if step.done:
                return
            assert step.after >= after
            after = step.after
        raise AssertionError("retention makes no progress")

    if (jobs := cut.jobs) is not None:
        await walk(lambda after: store.drop_jobs("a", rule, jobs, after, rows=rows))
    if (events := cut.events) is not None:
        await walk(lambda after: store.cut_events("a", events, after, rows=rows))
    if (files := cut.files) is not None:
        await walk(lambda after: store.drop_files("a", files, after, rows=rows))
    return Step(after=START, done=True, **sums)


def agrees(report: RetentionReport, step: Step) -> bool:
    """Return True if a dry run counted what was then removed."""
    return (report.jobs, report.events, report.files, report.file_bytes) == (
        step.jobs,
        step.events,
        step.files,
        step.file_bytes,
    )


class Upkeeping:
    """Retention, audit log, usage, deliveries, rotation of keys."""

    @pytest.mark.parametrize("rows", [1, 3, 1000])
    def test_retention_by_age_spares_what_is_alive(self, run: Any, rows: int) -> None:
        async def body(store: ServiceStore, clock: Clock) -> None:
            old = await ended_job(store, events=7)
            needed = await ended_job(store)
            queued = (await store.submit(new_job())).job
            running = await claim_one(store)
            assert running.job.id == queued.id
            # It waits for the job that runs as well.
            waiter = (
                await store.submit(
                    new_job(after=[After(job=needed), After(job=queued.id)])
                )
            ).job
            clock.forward(40 * DAY_S)
            young = await ended_job(store, priority=9)
            rule = RetentionRule(job_days=30.0)
            preview = await store.preview("a", [rule])
            assert (preview.jobs, preview.events, preview.protected_jobs) == (1, 10, 1)
            step = await apply(store, rule, rows=rows)
            assert agrees(preview, step)
            assert step.protected >= 1
            with pytest.raises(NotFound):
                await store.get(old)
            assert await store.events(old) == []
            for job_id in (needed, waiter.id, queued.id, young):
                assert (await store.get(job_id)).id == job_id
            assert (await apply(store, rule, rows=rows)).jobs == 0

        run(body)

    def test_retention_by_count_and_state_keeps_the_newest(self, run: Any) -> None:
        async def body(store: ServiceStore, clock: Clock) -> None:
            ids = []
            for _ in range(5):
                ids.append(await ended_job(store))
                clock.forward(60)
            assert (await apply(store, RetentionRule(job_count=0))).jobs == 0  # one hour
            clock.forward(DAY_S)
            failed = RetentionRule(job_count=1, job_states=[JobState.FAILED])
            assert (await apply(store, failed)).jobs == 0
            rule = RetentionRule(job_count=2)
            preview = await store.preview("a", [rule])
            assert agrees(preview, await apply(store, rule))
            assert preview.jobs == 3
            for job_id in ids[:3]:
                with pytest.raises(NotFound):
                    await store.get(job_id)
            assert [(await store.get(job_id)).id for job_id in ids[3:]] == ids[3:]

        run(body)

    @pytest.mark.parametrize("rows", [1, 1000])
    def test_events_go_and_changes_of_state_stay(self, run: Any, rows: int) -> None:
        async def body(store: ServiceStore, clock: Clock) -> None:
            job_id = await ended_job(store, events=5)
            clock.forward(2 * DAY_S)
            other = await ended_job(store, events=5)
            clock.forward(DAY_S)
            rule = RetentionRule(event_days=2.0)
            preview = await store.preview("a", [rule])
            assert preview.events == 5
            assert agrees(preview, await apply(store, rule, rows=rows))
            left = await store.events(job_id)
            assert {event.type for event in left} == {EventType.STATE}
            assert left[-1].seq == (await store.get(job_id)).last_seq
            assert [e.seq for e in await store.events(job_id, after_seq=left[0].seq)] == [
                event.seq for event in left[1:]
            ]
            assert len(await store.events(other)) == 8
            # 8 events are kept in all: those of the newest job.
            counted = RetentionRule(event_count=8)
            assert (await apply(store, counted)).events == 0
            assert (await apply(store, RetentionRule(event_count=7))).events == 5

        run(body)

    def test_files_in_use_stay(self, run: Any) -> None:
        async def body(store: ServiceStore, clock: Clock) -> None:
            for number in range(4):
                await store.put_artifact(stored_file(f"sha256:{number}", clock, 10))
                clock.forward(1)
            await ended_job(store, artifacts=["sha256:0"])
            live = (await store.submit(new_job(artifacts=["sha256:1"]))).job
            listed = await store.list_files("a", limit=10)
            assert [(f.record.digest, f.in_use) for f in listed] == [
                ("sha256:3", False),
                ("sha256:2", False),
                ("sha256:1", True),
                ("sha256:0", False),
            ]
            place = (listed[1].used_us, listed[1].record.digest)
            older = await store.list_files("a", limit=10, before=place)
            assert [file.record.digest for file in older] == ["sha256:1", "sha256:0"]
            with pytest.raises(Conflict, match=live.id):
                await store.drop_file("sha256:1", tenant="a")
            with pytest.raises(NotFound):
                await store.drop_file("sha256:1", tenant="b")
            assert await store.drop_file("sha256:0", tenant="a")
            unknown = await store.unknown_files(["sha256:0", "sha256:1", "sha256:9"])
            assert unknown == ["sha256:0", "sha256:9"]
            clock.forward(2 * DAY_S)
            rule = RetentionRule(file_bytes=10)
            preview = await store.preview("a", [rule])
            assert (preview.files, preview.file_bytes) == (1, 10)
            assert preview.protected_files == 1
            assert agrees(preview, await apply(store, rule))
            await store.request_cancel(live.id)
            assert (await apply(store, RetentionRule(file_days=1.0))).files == 2
            assert await store.list_files("a", limit=10) == []

        run(body)

    def test_rules_are_stored_and_one_process_takes_the_turn(self, run: Any) -> None:
        async def body(store: ServiceStore, clock: Clock) -> None:
            assert (await store.retention_rule("a")).is_empty
            rule = RetentionRule(job_days=3.5, job_states=[JobState.DEAD])
            await store.put_retention_rule("a", rule)
            assert await store.retention_rule("a") == rule
            assert (await store.retention_rule("b")).is_empty
            assert await store.take_turn("x", seconds=10)
            assert not await store.take_turn("x", seconds=10)
            assert await store.take_turn("y", seconds=10)
            clock.forward(11)
            assert await store.take_turn("x", seconds=10)

        run(body)

    def test_usage_outlives_the_jobs(self, run: Any) -> None:
        async def body(store: ServiceStore, clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            claim = await claim_one(store)
            clock.forward(5)
            await store.complete(job.id, claim.fence, DONE)
            await store.put_artifact(stored_file("sha256:1", clock, 7))
            await store.delete(job.id)
            kinds, events, files, file_bytes = await store.usage("a")
            (work,) = kinds.values()
            assert (work.jobs, work.attempts, work.busy_us) == (1, 1, 5_000_000)
            assert (events, files, file_bytes) == (0, 1, 7)
            assert (await store.usage("b"))[0] == {}
            assert "a" in await store.tenants()

        run(body)

    def test_acts_are_in_the_audit_log_of_their_transaction(self, run: Any) -> None:
        async def body(store: ServiceStore, clock: Clock) -> None:
            job = (await store.submit(new_job())).job  # nobody asked: no entry
            acting.set(Actor(tenant="a", key_id="k1", address="::1", agent="curl\x00"))
            await store.submit_many([new_job(), new_job()])
            await store.request_cancel(job.id)
            clock.forward(10)
            with pytest.raises(NotFound):
                await store.request_stop("job_none")
            await store.delete(job.id)
            acting.set(None)
            await store.audit(
                Deed(action="server.start"), actor=Actor(tenant="", key_id="")
            )
            entries = await store.list_audit(AuditFilter(), limit=10)
            assert [entry.action for entry in entries] == [
                "server.start",
                "job.delete",
                "job.cancel",
                "job.submit",
            ]
            assert entries[1].target == job.id
            assert entries[3].detail["jobs"] == 2
            assert (entries[3].key_id, entries[3].address) == ("k1", "::1")
            only = AuditFilter(action="job", target=job.id)
            assert len(await store.list_audit(only, limit=10)) == 2
            after = AuditFilter(tenant="a", after_us=clock.us)
            assert len(await store.list_audit(after, limit=10)) == 1
            older = await store.list_audit(
                AuditFilter(), limit=1, before_id=entries[1].id
            )
            assert older == [entries[2]]
            assert await store.drop_audit(before_us=clock.us, rows=1) == 1
            assert await store.drop_audit(before_us=clock.us, rows=10) == 1
            assert await store.drop_audit(before_us=clock.us, rows=10) == 0
            assert len(await store.list_audit(AuditFilter(), limit=10)) == 2

        run(body)

    def test_names_views_and_files_are_audited(self, run: Any) -> None:
        async def body(store: ServiceStore, clock: Clock) -> None:
            job = (await store.submit(new_job())).job
            acting.set(Actor(tenant="a", key_id="k1"))
            await store.rename(job.id, JobChanges(name="n"))
            await store.rename(job.id, JobChanges(labels={"a": "1"}))
            view = SavedView(tenant="a", name="v", query="q=x", created_us=clock.us)
            await store.put_view(view, most=1)
            with pytest.raises(Conflict):
                await store.put_view(replace(view, name="w"), most=1)
            await store.delete_view("a", "v")
            with pytest.raises(NotFound):
                await store.delete_view("a", "v")
            await store.put_artifact(stored_file("sha256:1", clock, 7))
            acting.set(None)
            await store.put_artifact(stored_file("sha256:2", clock, 7))
            entries = await store.list_audit(AuditFilter(), limit=10)
            assert [(one.action, one.target, one.detail) for one in entries] == [
                ("file.store", "sha256:1", {"name": "f", "size_bytes": 7}),
                ("view.delete", "v", {}),
                ("view.save", "v", {"query": "q=x"}),
                ("job.change", job.id, {"labels": {"a": "1"}}),
                ("job.change", job.id, {"name": "n"}),
            ]

        run(body)

    def test_a_webhook_is_sent_again(self, run: Any) -> None:
        async def body(store: ServiceStore, clock: Clock) -> None:
            plain = await ended_job(store)
            with pytest.raises(Conflict, match="without a webhook"):
                await store.resend(plain)
            job = (await store.submit(new_job(webhook={"url": "http://h/"}))).job
            with pytest.raises(Conflict, match="QUEUED"):
                await store.resend(job.id)
            await store.request_cancel(job.id)
            (row,) = await store.outbox_due()
            await store.outbox_retry(row.id, delay_s=500, detail="x", status_code=503)
            waiting = await store.list_deliveries(tenant="a", states=["waiting"], limit=5)
            assert [(one.record.status_code, one.url) for one in waiting] == [
                (503, "http://h/")
            ]
            assert waiting[0].record.next_try_us == clock.us + 500_000_000
            assert await store.outbox_due() == []
            await store.resend(job.id, tenant="a")
            (again,) = await store.outbox_due()  # the waiting one, at once
            assert (again.id, again.tries) == (row.id, 0)
            await store.outbox_done(again.id, status_code=200)
            await store.resend(job.id)
            (new,) = await store.outbox_due()
            assert new.id != row.id
            assert new.payload == row.payload
            await store.outbox_done(new.id, delivered=False, detail="y")
            tried = await store.delivery_attempts(job.id)
            assert [(one.number, one.status_code) for one in tried] == [
                (1, 503),
                (2, 200),
                (3, None),
            ]
            with pytest.raises(NotFound):
                await store.resend(job.id, tenant="b")
            assert (
                await store.list_deliveries(tenant="b", states=[], limit=5)
                == await store.list_deliveries(tenant="a", states=["waiting"], limit=5)
                == []
            )

        run(body)

    def test_a_key_is_rotated_with_an_overlap(self, run: Any) -> None:
        async def body(store: ServiceStore, clock: Clock) -> None:
            key = ApiKeyRecord(
                id="k",
                tenant="a",
                name="n",
                secret_sha256="s1",
                scopes=("viewer",),
                created_us=clock.us,
                expires_us=clock.us + 10_000_000,
                revoked=False,
                limits={},
            )
            await store.put_key(key)
            rotated = await store.rotate_key("k", new_sha256="s2", overlap_s=5)
            assert rotated == await store.get_key("k")
            assert (rotated.secret_sha256, rotated.old_sha256) == ("s2", "s1")
            assert rotated.old_until_us == clock.us + 5_000_000
            await store.touch_keys({"k": 7, "gone": 1})
            await store.touch_keys({"k": 6})
            stored = await store.get_key("k")
            assert stored is not None
            assert stored.last_used_us == 7
            clock.forward(11)
            with pytest.raises(Conflict, match="expired"):
                await store.rotate_key("k", new_sha256="s3", overlap_s=5)
            with pytest.raises(NotFound):
                await store.rotate_key("none", new_sha256="s3", overlap_s=5)

        run(body)

    def test_a_redriven_job_has_its_new_events(self, run: Any) -> None:
        async def body(store: ServiceStore, clock: Clock) -> None:
            job = (await store.submit(new_job(max_attempts=1))).job
            claim = await claim_one(store)
            logs = [NewEvent(type=EventType.LOG, data={})]
            await store.append(job.id, claim.fence, logs)
            failed = Completion(verb="fail", termination={}, outcome="failed")
            await store.complete(job.id, claim.fence, failed)
            clock.forward(DAY_S)
            assert (await apply(store, RetentionRule(event_days=0.5))).events == 1
            await store.redrive(job.id)
            claim = await claim_one(store)
            await store.append(job.id, claim.fence, logs)
            await store.complete(job.id, claim.fence, DONE)
            assert len(await store.events(job.id)) == 7
            clock.forward(DAY_S)
            assert (await apply(store, RetentionRule(event_days=0.5))).events == 1

        run(body)

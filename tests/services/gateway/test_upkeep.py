"""Retention, files, usage, deliveries, audit log and rotation of keys over HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.dispatcher import retention
from services.dispatcher.retention import ClockJumped, Retention
from services.errors import StoreUnavailable
from services.gateway.app import create_app
from services.settings import Settings, SettingsRefused, load
from services.store.blobs import BlobStore
from services.store.sql_store import SqlStore
from services.store.upkeep import SERVER, START, AuditFilter, Deed, Place, Step
from tests.contracts.store import Clock, new_job
from tests.contracts.store.upkeep import ended_job
from tests.doubles.memory_store import MemoryStore
from tests.services.gateway.conftest import JOB
from trimtab.upkeep import RetentionRule

Key = Callable[..., dict[str, str]]


def test_a_rule_about_running_jobs_is_refused(anonymous: TestClient, key: Key) -> None:
    mine = key("acme", "operator")
    for body, words in (
        ({"job_days": 1, "job_states": ["RUNNING"]}, "never removes a job that has not"),
        ({"job_days": 0}, "job_days: expected"),
        ({"job_count": -1}, "job_count: expected"),
        ({"jobs": 1}, "jobs"),
    ):
        for method, path in (("PUT", ""), ("POST", "/preview")):
            answer = anonymous.request(
                method, f"/v1/retention{path}", json=body, headers=mine
            )
            assert answer.status_code == 422, answer.text
            assert words in answer.text
    assert anonymous.get("/v1/retention", headers=mine).json()["rule"]["job_days"] is None
    with pytest.raises(SettingsRefused, match=r"TRIMTAB_RETENTION_job_states.*RUNNING"):
        load(retention_job_states=["RUNNING"])


def test_a_tenant_rules_over_its_own_jobs_alone(
    anonymous: TestClient, admin: dict[str, str], key: Key
) -> None:
    mine, reader = key("acme", "operator"), key("acme", "viewer")
    rule = {"job_days": 30.0, "file_bytes": 10}
    stored = anonymous.put("/v1/retention", json=rule, headers=mine)
    assert stored.status_code == 200, stored.text
    assert stored.json()["rule"]["job_days"] == 30.0
    assert anonymous.put("/v1/retention", json=rule, headers=reader).status_code == 403
    for path in ("/v1/retention?tenant=other", "/v1/usage?tenant=other"):
        assert anonymous.get(path, headers=mine).status_code == 403
    of_admin = anonymous.get("/v1/retention?tenant=acme", headers=admin).json()
    assert of_admin["rule"]["file_bytes"] == 10
    report = anonymous.post("/v1/retention/run", headers=mine).json()
    assert (report["tenant"], report["jobs"], report["complete"]) == ("acme", 0, True)
    (ran,) = anonymous.get("/v1/audit?action=retention.run", headers=admin).json()[
        "items"
    ]
    assert (ran["tenant"], ran["target"], ran["detail"]) == ("acme", "acme", report)
    assert [one["tenant"] for one in anonymous.get("/v1/usage", headers=mine).json()] == [
        "acme"
    ]
    assert {
        one["tenant"] for one in anonymous.get("/v1/usage", headers=admin).json()
    } >= {
        "acme",
        "default",
    }


def test_a_file_is_deleted_by_its_owner(anonymous: TestClient, key: Key) -> None:
    mine, other = key("acme"), key("other")
    put = anonymous.post("/v1/artifacts?name=a.txt", content=b"abc", headers=mine)
    digest = put.json()["digest"]
    listed = anonymous.get("/v1/artifacts", headers=mine).json()
    assert [(one["digest"], one["in_use"]) for one in listed["items"]] == [
        (digest, False)
    ]
    assert anonymous.get("/v1/artifacts", headers=other).json()["items"] == []
    assert anonymous.delete(f"/v1/artifacts/{digest}", headers=other).status_code == 404
    assert anonymous.delete(f"/v1/artifacts/{digest}", headers=mine).status_code == 204
    content = f"/v1/artifacts/{digest}/content"
    assert anonymous.get(content, headers=mine).status_code == 404
    assert anonymous.delete(f"/v1/artifacts/{digest}", headers=mine).status_code == 404


def test_the_audit_log_says_who_did_what_from_where(
    anonymous: TestClient, admin: dict[str, str], key: Key
) -> None:
    mine = key("acme") | {"user-agent": "tests/1"}
    job = anonymous.post("/v1/jobs", json=JOB, headers=mine).json()["id"]
    anonymous.post(f"/v1/jobs/{job}/cancel", headers=mine)
    anonymous.delete(f"/v1/jobs/{job}", headers=mine)
    assert anonymous.get("/v1/audit", headers=mine).status_code == 403
    entries = anonymous.get(f"/v1/audit?target={job}", headers=admin).json()["items"]
    assert [one["action"] for one in entries] == [
        "job.delete",
        "job.cancel",
        "job.submit",
    ]
    assert {(one["tenant"], one["agent"]) for one in entries} == {("acme", "tests/1")}
    assert all(one["address"] for one in entries)
    page = anonymous.get("/v1/audit?limit=2", headers=admin).json()
    rest = anonymous.get(f"/v1/audit?cursor={page['next_cursor']}", headers=admin).json()
    actions = [one["action"] for one in [*page["items"], *rest["items"]]]
    assert actions[-1] == "server.start"
    assert "key.create" in actions
    text = anonymous.get("/v1/audit", headers=admin).text
    assert mine["authorization"].rpartition("_")[2] not in text


def test_a_rotated_key_works_with_both_secrets_until_the_overlap_ends(
    anonymous: TestClient, admin: dict[str, str], settings: Settings, key: Key
) -> None:
    mine = key("acme")
    key_id = anonymous.get("/v1/me", headers=mine).json()["key_id"]
    other = anonymous.get("/v1/me", headers=admin).json()["key_id"]
    path = f"/v1/keys/{key_id}/rotate"
    refused = anonymous.post(f"/v1/keys/{other}/rotate", json={}, headers=mine)
    assert refused.status_code == 403
    made = anonymous.post(path, json={"overlap_s": 1.0}, headers=mine)
    assert made.status_code == 201, made.text
    new = {"authorization": f"Bearer {made.json()['key']}"}
    assert anonymous.get("/v1/me", headers=new).json()["key_id"] == key_id
    assert anonymous.get("/v1/me", headers=mine).status_code == 200
    time.sleep(1.1)
    answer = anonymous.get("/v1/me", headers=mine)
    assert answer.status_code == 401
    assert "rotated" in answer.text
    assert anonymous.get("/v1/me", headers=new).status_code == 200
    # The file of the admin key follows, so that CLI and pages on this machine go on.
    admin_path = f"/v1/keys/{other}/rotate"
    fresh = anonymous.post(admin_path, json={"overlap_s": 0}, headers=admin).json()["key"]
    assert settings.admin_key_file.read_text().strip() == fresh
    assert anonymous.get("/v1/me", headers=admin).status_code == 401


def test_a_stream_ends_when_its_key_is_revoked(
    anonymous: TestClient, admin: dict[str, str], key: Key
) -> None:
    mine = key("acme")
    key_id = anonymous.get("/v1/me", headers=mine).json()["key_id"]
    job = anonymous.post("/v1/jobs", json=JOB, headers=mine).json()["id"]
    timer = threading.Timer(
        0.5, lambda: anonymous.delete(f"/v1/keys/{key_id}", headers=admin)
    )
    timer.start()
    # Nothing runs the job: without the revocation the stream has no end.
    text = anonymous.get(f"/v1/jobs/{job}/events", headers=mine).text
    timer.join()
    end = text[text.index("event: end") :].partition("data: ")[2]
    assert json.loads(end)["status"] == 401
    assert "revoked" in end


def test_the_last_use_of_a_key_is_written_once_in_a_while(
    anonymous: TestClient, store: MemoryStore, admin: dict[str, str], key: Key
) -> None:
    mine = key("acme")
    for _ in range(5):
        key_id = anonymous.get("/v1/me", headers=mine).json()["key_id"]
    context = anonymous.app.state.context  # type: ignore[attr-defined]
    used = context.keyring.used()
    assert key_id in used
    assert context.keyring.used() == {}
    asyncio.run(store.touch_keys(used))
    keys = anonymous.get("/v1/keys", headers=admin).json()
    assert next(one for one in keys if one["id"] == key_id)["last_used_at"] is not None


def test_a_webhook_is_listed_and_sent_again(anonymous: TestClient, key: Key) -> None:
    mine = key("acme")
    hook = {"webhook": {"url": "https://example.com/hook"}}
    job = anonymous.post("/v1/jobs", json=JOB | hook, headers=mine).json()["id"]
    path = f"/v1/jobs/{job}/webhook/resend"
    assert anonymous.post(path, headers=mine).status_code == 409
    anonymous.post(f"/v1/jobs/{job}/cancel", headers=mine)
    (one,) = anonymous.get("/v1/deliveries", headers=mine).json()["items"]
    assert (one["job_id"], one["state"], one["url"]) == (
        job,
        "waiting",
        hook["webhook"]["url"],
    )
    answer = anonymous.post(path, headers=mine)
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "waiting"
    assert anonymous.get("/v1/deliveries", headers=key("other")).json()["items"] == []


class Crashing(SqlStore):
    """Fails in the middle of retention."""

    steps = 0

    async def drop_jobs(self, *arguments: Any, **more: Any) -> Any:
        self.steps += 1
        if self.steps > 3:
            raise StoreUnavailable("crash")
        return await super().drop_jobs(*arguments, **more)


def test_retention_goes_on_after_a_crash_and_with_two_dispatchers(tmp_path: Path) -> None:
    async def main() -> None:
        clock = Clock()
        path = tmp_path / "x.sqlite3"
        crashing = Crashing.on_sqlite(path, clock=clock)
        await crashing.open()
        for _ in range(12):
            await ended_job(crashing, events=30)
        live = (await crashing.submit(new_job())).job
        clock.forward(10 * 86_400)
        rule = RetentionRule(job_days=5.0)
        blobs = BlobStore(tmp_path / "blobs")
        first = Retention(crashing, blobs, server=rule)
        first._rows["jobs"] = 25
        with pytest.raises(StoreUnavailable):
            await first.run("a")
        left = sum((await crashing.counts("a")).values())
        assert 1 < left < 13
        await crashing.close()

        store = SqlStore.on_sqlite(path, clock=clock)
        await store.open()
        both = [Retention(store, blobs, server=rule) for _ in range(2)]
        reports = await asyncio.gather(*(one.run("a") for one in both))
        assert sum(report.jobs for report in reports) == left - 1
        assert (await store.get(live.id)).id == live.id
        assert sum((await store.counts("a")).values()) == 1
        assert await store.list_audit(AuditFilter(), limit=5) == []
        await store.close()

    asyncio.run(main())


def test_a_jump_of_the_clock_removes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        clock = Clock()
        store = SqlStore.on_sqlite(tmp_path / "x.sqlite3", clock=clock)
        await store.open()
        job_id = await ended_job(store)
        rule = RetentionRule(job_days=30.0)
        runner = Retention(store, BlobStore(tmp_path / "blobs"), server=rule)
        assert (await runner.run("a")).jobs == 0
        clock.forward(365 * 86_400)  # ntpd, or a wrong battery clock
        with pytest.raises(ClockJumped, match="moved by 31536000 s"):
            await runner.run("a")
        assert (await store.get(job_id)).id == job_id
        assert (await runner.run("a")).jobs == 1  # it was right after all
        assert retention.SKEW_S < 3600
        await store.close()

    asyncio.run(main())


def test_a_jump_between_the_start_and_a_request_removes_nothing(
    settings: Settings,
) -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    app = create_app(settings, store=store)
    with TestClient(
        app, base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        mine = {"authorization": f"Bearer {settings.admin_key_file.read_text().strip()}"}
        job = client.post("/v1/jobs", json=JOB, headers=mine).json()["id"]
        client.post(f"/v1/jobs/{job}/cancel", headers=mine)
        client.put("/v1/retention", json={"job_days": 30.0}, headers=mine)
        clock.forward(365 * 86_400)
        refused = client.post("/v1/retention/run", headers=mine)
        assert refused.status_code == 409
        assert "the database's clock moved by 3153" in refused.text
        assert client.get(f"/v1/jobs/{job}", headers=mine).status_code == 200
        assert client.post("/v1/retention/run", headers=mine).json()["jobs"] == 1
        metrics = client.get("/metrics", headers=mine).text
        assert 'trimtab_retention_removed_total{sort="jobs"} 1.0' in metrics


def test_steps_fit_their_work(tmp_path: Path) -> None:
    async def main() -> None:
        store = SqlStore.on_sqlite(tmp_path / "x.sqlite3", clock=Clock())
        await store.open()
        runner = Retention(store, BlobStore(tmp_path), server=RetentionRule())
        sizes: list[int] = []
        works = 0.0

        async def take(after: Place, *, rows: int) -> Step:
            sizes.append(rows)
            return Step(after=after, took_s=works)

        for work_s, last in (
            (0.0, retention.MOST_ROWS),
            (retention.TARGET_S, retention.MOST_ROWS),
            (retention.TARGET_S * 1.5, retention.FEWEST_ROWS),
        ):
            works = work_s
            for _ in range(14):
                await runner._fitted("jobs", take, START)
            assert sizes[-1] == last
        began = time.perf_counter()
        now = (await store.now_us(), "")
        step = await store.drop_jobs("a", RetentionRule(job_days=1), now, START, rows=9)
        assert 0 < step.took_s < time.perf_counter() - began
        await store.close()

    asyncio.run(main())


def test_a_run_over_all_tenants_shortens_the_audit_log(tmp_path: Path) -> None:
    async def main() -> None:
        clock = Clock()
        store = SqlStore.on_sqlite(tmp_path / "x.sqlite3", clock=clock)
        await store.open()
        runner = Retention(
            store, BlobStore(tmp_path / "blobs"), server=RetentionRule(job_days=5.0)
        )
        runner._rows["audit"] = retention.FEWEST_ROWS
        for _ in range(50):
            await store.audit(Deed(action="server.start"), actor=SERVER)
        for tenant in ("a", "b"):
            await ended_job(store, tenant=tenant)
        clock.forward(40 * 86_400)
        await store.audit(Deed(action="server.start"), actor=SERVER)
        reports = await runner.run_all(audit_days=30.0)
        assert [(report.tenant, report.jobs) for report in reports] == [
            ("a", 1),
            ("b", 1),
        ]
        assert len(await store.list_audit(AuditFilter(), limit=100)) == 1
        assert await runner.run_all(audit_days=30.0) == []
        await store.close()

    asyncio.run(main())

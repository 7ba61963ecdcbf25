"""Pages for operators: usage, retention, webhook deliveries, audit log, rotation of keys."""

from __future__ import annotations

import json
import re

import pytest

from tests.services.web.conftest import EVIL, Reader
from tests.services.web.html import Page

PAGES = ("/admin/usage", "/admin/retention", "/admin/webhooks", "/admin/audit")


def as_scope(reader: Reader, scope: str, tenant: str = "acme") -> Reader:
    """Sign in anew with a key of this scope."""
    made = reader.client.post(
        "/v1/keys",
        json={"name": scope, "tenant": tenant, "scopes": [scope]},
        headers={"authorization": f"Bearer {reader.key}"},
    )
    assert made.status_code == 201, made.text
    key = made.json()["key"]
    reader.client.cookies.clear()
    answer = reader.post("/login", reader.get("/login").form("/login").fill(key=key))
    assert answer.status_code == 303, answer.text
    return reader


def test_each_scope_sees_its_pages(reader: Reader) -> None:
    for path in PAGES:
        page = reader.get(path)
        assert set(PAGES) <= set(page.hrefs)
    as_scope(reader, "operator")
    page = reader.get("/admin/usage")
    assert "/admin/audit" not in page.hrefs
    reader.get("/admin/audit", status=403)
    as_scope(reader, "submitter")
    assert "/admin/usage" not in reader.get("/").hrefs
    for path in PAGES:
        reader.get(path, status=403)
    for path in ("/admin/retention", "/admin/webhooks/job_x/resend"):
        assert reader.post(path, [("action", "save")]).status_code in (403, 404)


def test_usage_of_every_tenant_for_an_admin_and_of_ones_own_else(reader: Reader) -> None:
    reader.submit()
    assert "default" in reader.get("/admin/usage").text
    page = as_scope(reader, "operator").get("/admin/usage")
    assert "acme" in page.text
    assert "probe" not in page.text


def test_a_rule_is_counted_first_then_stored(reader: Reader) -> None:
    url = "/admin/retention"
    form = reader.get(url).forms[1]
    counted = reader.post(url, [*form.fill(job_days="30"), ("action", "preview")])
    assert counted.status_code == 200, counted.text
    page = Page(counted.text)
    assert "would remove" in page.text
    assert dict(page.forms[1].values)["job_days"] == "30"
    assert reader.do(reader.store.retention_rule("default")).is_empty
    more = [("job_states", "FAILED"), ("action", "save")]
    saved = reader.post(url, [*page.forms[1].fill(file_bytes="1000000"), *more])
    assert "The rule is stored" in Page(saved.text).text
    rule = reader.do(reader.store.retention_rule("default"))
    assert (rule.job_days, rule.file_bytes, rule.job_states) == (30, 10**6, ["FAILED"])
    shown = dict(reader.get(url).forms[1].values)
    assert (shown["job_days"], shown["file_bytes"]) == ("30", "1000000")
    ran = reader.post(url, [("action", "run")])
    assert ran.status_code == 200
    assert "Removed" in Page(ran.text).text
    assert dict(Page(ran.text).forms[1].values)["job_days"] == "30"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("job_days", "soon", "Remove jobs that ended more than this many days ago"),
        ("job_days", "0", "at least"),
        ("job_days", "inf", "days ago"),
        ("job_count", "-1", "Keep at most this many ended jobs"),
        ("job_count", "1.5", "Keep at most this many ended jobs"),
        ("file_bytes", EVIL, "Keep at most this many bytes"),
        ("job_states", "RUNNING", "never removes a job that has not ended"),
    ],
)
def test_a_bad_rule_is_refused_with_its_field(
    reader: Reader, name: str, text: str, words: str
) -> None:
    url = "/admin/retention"
    form = reader.get(url).forms[1]
    answer = reader.post(url, [*form.fill(**{name: text}), ("action", "save")])
    assert answer.status_code == 422, answer.text
    assert words in Page(answer.text).text
    assert "<script>alert" not in answer.text
    assert reader.do(reader.store.retention_rule("default")).is_empty


def test_a_webhook_that_was_given_up_is_sent_again(reader: Reader) -> None:
    assert "No delivery yet" in reader.get("/admin/webhooks").text
    job_id = reader.submit(webhook={"url": "https://hook.example/x"})
    reader.complete(reader.claim())
    (sent,) = reader.do(reader.store.outbox_due(limit=1, lock_s=30))
    reader.do(
        reader.store.outbox_done(
            sent.id, delivered=False, detail="403 Forbidden " + EVIL, status_code=403
        )
    )
    page = reader.get("/admin/webhooks?state=given+up")
    assert "403 Forbidden" in page.text
    action = f"/admin/webhooks/{job_id}/resend"
    assert reader.post(action, page.form(action).fill()).status_code == 303
    assert "No delivery is given up" in reader.get("/admin/webhooks?state=given+up").text
    assert "waiting" in reader.get("/admin/webhooks").text


def test_the_audit_log_is_filtered(reader: Reader) -> None:
    job_id = reader.submit()
    reader.post(f"/jobs/{job_id}/cancel")
    rows = reader.get(f"/admin/audit?target={job_id}").text
    assert "job.cancel" in rows
    assert "job.cancel" not in reader.get("/admin/audit?action=key").text
    assert "No entry fits" in reader.get("/admin/audit?tenant=" + "x").text
    assert EVIL not in reader.client.get(f"/admin/audit?target={EVIL}").text
    reader.get("/admin/audit?before=x", status=400)


def test_a_key_is_rotated_with_an_overlap(reader: Reader) -> None:
    made = reader.client.post(
        "/v1/keys",
        json={"name": "ci", "tenant": "acme", "scopes": ["viewer"]},
        headers={"authorization": f"Bearer {reader.key}"},
    ).json()
    action = f"/keys/{made['id']}/rotate"
    form = reader.get("/keys").form(action)
    refused = reader.post(action, form.fill(hours="-1"))
    assert refused.status_code == 422
    assert "expected a whole number from 0 to" in refused.text
    answer = reader.post(action, form.fill(hours="2"))
    assert answer.status_code == 201
    assert "works for 2 more hours" in Page(answer.text).text
    found = re.search(r"tt_[a-z0-9]{12}_[\w-]{43}", answer.text)
    assert found is not None
    for key in (made["key"], found[0]):
        me = reader.client.get("/v1/me", headers={"authorization": f"Bearer {key}"})
        assert me.status_code == 200, me.text
    assert "Old secret until" in reader.get("/keys").text
    assert found[0] not in json.dumps(reader.get("/keys").text)


def test_a_run_is_audited_and_refused_after_a_jump_of_the_clock(reader: Reader) -> None:
    url = "/admin/retention"
    form = reader.get(url).forms[1]
    run = [*form.fill(), ("action", "run")]
    assert reader.post(url, run).status_code == 200
    headers = {"authorization": f"Bearer {reader.key}"}
    audited = "/v1/audit?action=retention.run"
    (entry,) = reader.client.get(audited, headers=headers).json()["items"]
    assert entry["target"] == "default"
    clocks = reader.client.app.state.context.retention.clocks  # type: ignore[attr-defined]
    clocks.start_us -= 365 * 86_400 * 10**6
    refused = reader.post(url, run)
    assert refused.status_code == 409
    assert "clock moved by 3153" in Page(refused.text).text

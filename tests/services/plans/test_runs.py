"""A plan from submit to report, with real children: rests, jobs, repairs, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.services.plans.served import Api, run


def test_an_approved_plan_runs_its_jobs_and_reports(tmp_path: Path) -> None:
    async def body(api: Api) -> None:
        plan = await api.submit(squares=[26, -9], chain=True, approve="auto")
        view = await api.until(plan, "SUCCEEDED")
        assert view["graph"] == plan
        listed = (await api.http.get(f"/v1/jobs?graph={plan}")).json()["items"]
        jobs = {job["labels"].get("leaf"): job for job in listed}
        assert {leaf: job["state"] for leaf, job in jobs.items()} == {
            None: "SUCCEEDED",
            "l1": "SUCCEEDED",
            "l2": "FAILED",
            "l2.r1": "SUCCEEDED",
            "chain": "SUCCEEDED",
        }
        # The chain read the file of the first root, 5, which is one off from a square.
        result = (await api.http.get(f"/v1/jobs/{jobs['chain']['id']}/result")).json()
        assert result["objective"] == 1.0
        memo = await api.store.memo(plan)
        assert memo is not None
        assert memo.body["kept"] == 2
        assert memo.revision == 2
        report = (await api.http.get(f"/v1/jobs/{plan}/artifacts/report.md")).json()
        assert report == {"l1": 1.0, "l2": None, "l2.r1": 0.0, "chain": 1.0}
        attempts = await api.store.attempts(plan)
        assert [one.outcome for one in attempts] == ["rested", "rested", "result"]
        events = [
            event.data["state"]
            for event in await api.store.events(plan)
            if "state" in event.data
        ]
        woken = ["QUEUED", "RUNNING", "WAITING"]
        assert events == [*woken, *woken, "QUEUED", "RUNNING", "SUCCEEDED"]

    run(tmp_path, body)


FAULTS = {
    "circle": "/edges: expected leaves that do not wait for one another",
    "foreign": "/leaves/l1",
    "kind": "/leaves/l1/kind: expected one of probe, root, got 'errand'",
    "dropped": "/leaves: expected at least one job that runs",
    "unapproved": "expected AWAITING_APPROVAL before an approval",
    "endless": "got WAITING for nothing to start",
    "no question": "expected an open question",
}


def test_an_unsound_rest_fails_the_plan_and_starts_nothing(tmp_path: Path) -> None:
    async def body(api: Api) -> None:
        for fault, words in FAULTS.items():
            plan = await api.submit(squares=[16, 25], approve="auto", fault=fault)
            view = await api.until(plan, "FAILED")
            assert words in view["termination"]["detail"], view["termination"]
            jobs = (await api.http.get(f"/v1/jobs?graph={plan}")).json()["items"]
            assert len(jobs) == (3 if fault == "endless" else 0)

    run(tmp_path, body)


@pytest.mark.parametrize("approve", ["auto", "manual"])
def test_jobs_of_a_plan_may_call_the_hosts_that_the_server_allows(
    tmp_path: Path, approve: str
) -> None:
    hook = "http://127.0.0.1:9/ended"

    async def allowed(api: Api) -> None:
        plan = await api.submit(squares=[16], goal=hook, approve=approve)
        if approve == "manual":
            await api.until(plan, "AWAITING_APPROVAL")
            await api.approve(plan)
        await api.until(plan, "SUCCEEDED")
        jobs = (await api.http.get(f"/v1/jobs?graph={plan}&kind=root")).json()["items"]
        assert [(await api.job(job["id"]))["webhook"]["url"] for job in jobs] == [hook]

    async def refused(api: Api) -> None:
        plan = await api.submit(squares=[16], goal=hook, approve=approve)
        view = await api.until(plan, "FAILED")
        assert "/leaves/l1: webhook.url" in view["termination"]["detail"]

    run(tmp_path / "allowed", allowed, webhook_allowed_hosts=("127.0.0.1",))
    run(tmp_path / "refused", refused)


def test_a_question_an_edit_and_an_approval(tmp_path: Path) -> None:
    async def body(api: Api) -> None:
        plan = await api.submit(squares=[16], ask=True)
        await api.until(plan, "NEEDS_INPUT")
        seen = await api.outline(plan)
        path = f"/v1/jobs/{plan}/outline"
        said = {"revision": seen["revision"], "answers": {"q1": "26"}}
        answer = await api.http.post(f"{path}/answers", json=said)
        assert answer.json()["state"] == "QUEUED", answer.text
        await api.until(plan, "AWAITING_APPROVAL")
        assert list((await api.outline(plan))["outline"]["leaves"]) == ["l1", "l2"]
        dropped = [{"op": "replace", "path": "/leaves/l1/enabled", "value": False}]
        edited = await api.http.patch(
            path,
            content=json.dumps(dropped),
            headers={"content-type": "application/json-patch+json", "if-match": "3"},
        )
        assert edited.status_code == 200, edited.text
        view = await api.approve(plan)
        assert (view["state"], view["waits"]) == ("WAITING", 1)
        await api.until(plan, "SUCCEEDED")
        report = (await api.http.get(f"/v1/jobs/{plan}/artifacts/report.md")).json()
        assert report == {"l2": 1.0}
        logged = [
            event.data["message"]
            for event in await api.store.events(plan)
            if "message" in event.data
        ]
        assert logged == ["a question", "2 jobs", "outline changed: revision 4"]

    run(tmp_path, body)


def test_a_plan_that_was_cancelled_at_rest_rests_again(tmp_path: Path) -> None:
    async def body(api: Api) -> None:
        plan = await api.submit(squares=[16])
        await api.until(plan, "AWAITING_APPROVAL")
        await api.http.post(f"/v1/jobs/{plan}/cancel")
        assert (await api.job(plan))["state"] == "CANCELLED"
        await api.http.post(f"/v1/jobs/{plan}/retry")
        await api.until(plan, "AWAITING_APPROVAL")
        await api.approve(plan)
        await api.until(plan, "SUCCEEDED")

    run(tmp_path, body)


@pytest.mark.parametrize("verb", ["stop", "cancel"])
def test_a_plan_ends_with_its_jobs(tmp_path: Path, verb: str) -> None:
    """One worker, so that one job runs long and another one is queued behind it."""

    async def body(api: Api) -> None:
        plan = await api.submit(squares=[], probes=2)
        await api.until(plan, "AWAITING_APPROVAL")
        await api.approve(plan)
        jobs = list((await api.outline(plan))["jobs"].values())
        await api.until(jobs[0], "RUNNING")
        await api.http.post(f"/v1/jobs/{plan}/{verb}")
        end = "SUCCEEDED" if verb == "stop" else "CANCELLED"
        view = await api.until(plan, end)
        assert view["state"] == end
        ends = [(await api.until(job, end, "CANCELLED"))["state"] for job in jobs]
        assert ends == [end, "CANCELLED"]
        if verb == "stop":
            report = (await api.http.get(f"/v1/jobs/{plan}/artifacts/report.md")).json()
            assert report["p0"] > 0
            assert report["p1"] is None

    run(tmp_path, body, workers=1, heartbeat_s=20.0)


def test_an_automatic_plan_beyond_the_quota_waits_for_its_owner(tmp_path: Path) -> None:
    async def body(api: Api) -> None:
        plan = await api.submit(squares=[16, 25, 36], approve="auto")
        await api.until(plan, "AWAITING_APPROVAL")
        answer = await api.http.post(f"/v1/jobs/{plan}/cancel")
        assert answer.json()["state"] == "CANCELLED"

    run(tmp_path, body, max_queued_jobs=2)

"""A plan from submit to report, with real children: rests, jobs, repairs, and what goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.plans.served import Api, run
from trimtab.results import JobState


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


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("circle", "/edges: expected leaves that do not wait for one another"),
        ("foreign", "/leaves/l1"),
        ("kind", "/leaves/l1/kind: expected one of root, got 'errand'"),
        ("unapproved", "expected AWAITING_APPROVAL before an approval"),
        ("endless", "got WAITING for nothing to start"),
        ("no question", "expected an open question"),
    ],
)
def test_an_unsound_rest_fails_the_plan_and_starts_nothing(
    tmp_path: Path, fault: str, words: str
) -> None:
    async def body(api: Api) -> None:
        plan = await api.submit(squares=[16, 25], approve="auto", fault=fault)
        view = await api.until(plan, "FAILED")
        assert words in view["termination"]["detail"], view["termination"]
        counts = await api.store.counts()
        started = 2 if fault == "endless" else 0
        assert sum(counts.values()) == 1 + started
        assert counts[JobState.QUEUED] == counts[JobState.WAITING] == 0

    run(tmp_path, body)

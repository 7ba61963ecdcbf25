"""Jobs that wait for jobs, as the API takes and shows them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.store.types import Completion
from tests.doubles.memory_store import MemoryStore
from trimtab.results import JobView

JOB: dict[str, Any] = {"kind": "probe", "spec": {}, "budget": {"seconds": 5.0}}
DIGEST = "sha256:" + "1" * 64
Key = Callable[..., dict[str, str]]


def reader(job: str, output: str = "solution.sol") -> dict[str, Any]:
    """Return an ilp job that starts from a file of another job."""
    spec = {
        "model_text": "Minimize\n obj: x\nSubject To\n c: x >= 1\nEnd\n",
        "format": "lp",
        "warm_start": {"job": job, "output": output},
    }
    return {"kind": "ilp", "spec": spec}


def solver() -> dict[str, Any]:
    job = reader("#0")
    del job["spec"]["warm_start"]
    return job


@pytest.fixture
def api(anonymous: TestClient, key: Key) -> TestClient:
    anonymous.headers.update(key())
    return anonymous


def batch(api: TestClient, *jobs: dict[str, Any], status: int = 202) -> Any:
    answer = api.post("/v1/jobs:batch", json={"jobs": list(jobs)})
    assert answer.status_code == status, answer.text
    return answer.json()["items"] if status == 202 else answer.json()


def end(store: MemoryStore, **artifacts: Any) -> str:
    """Act as a worker: claim the next job and succeed; returns its id."""

    async def act() -> str:
        kinds = ["probe", "ilp"]
        (claim,) = await store.claim("w", kinds=kinds, lease_s=30)
        completion = Completion(
            verb="succeed",
            termination={"reason": "optimal", "limit": None, "detail": ""},
            outcome="result",
            result={"objective": 1.0, "artifacts": artifacts},
        )
        await store.complete(claim.job.id, claim.fence, completion)
        return claim.job.id

    return asyncio.run(act())


def test_a_batch_is_a_graph(api: TestClient, store: MemoryStore) -> None:
    jobs = batch(api, solver(), reader("#0"), {**JOB, "after": ["#1", "#0"]})
    first, second, third = (job["id"] for job in jobs)
    assert [job["state"] for job in jobs] == ["QUEUED", "WAITING", "WAITING"]
    shown = api.get(f"/v1/jobs/{second}").json()
    JobView.model_validate_json(json.dumps(shown))
    assert shown["after"] == [{"job": first, "needs": "success", "state": "QUEUED"}]
    assert shown["needed_by"] == [{"job": third, "needs": "success", "state": "WAITING"}]
    request = api.get(f"/v1/jobs/{second}/input").json()
    assert request["spec"]["warm_start"] == {
        "job": first,
        "name": "solution.sol",
        "output": "solution.sol",
        "size_bytes": None,
        "media_type": None,
    }
    assert end(store, **{"solution.sol": {"digest": DIGEST}}) == first
    request = api.get(f"/v1/jobs/{second}/input").json()
    assert request["spec"]["warm_start"]["digest"] == DIGEST
    assert api.get(f"/v1/jobs/{second}").json()["state"] == "QUEUED"
    assert end(store) == second
    assert end(store) == third


def test_an_existing_job_can_be_waited_for(api: TestClient, store: MemoryStore) -> None:
    (first,) = batch(api, solver())
    answer = api.post("/v1/jobs", json=reader(first["id"]))
    assert answer.status_code == 202, answer.text
    end(store)  # without the file
    view = api.get(f"/v1/jobs/{answer.json()['id']}").json()
    assert (view["state"], view["termination"]["reason"]) == ("SKIPPED", "input_missing")
    answer = api.post(
        "/v1/jobs", json={**JOB, "after": [{"job": view["id"], "needs": "done"}]}
    )
    assert answer.json()["state"] == "QUEUED"
    answer = api.post("/v1/jobs", json={**JOB, "after": [view["id"]]})
    assert answer.status_code == 409
    assert "may still succeed" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("jobs", "status", "message"),
    [
        ([{**JOB, "after": ["#0"]}], 400, "earlier job of this batch"),
        ([{**JOB, "after": ["#1"]}, JOB], 400, "earlier job of this batch"),
        ([{**JOB, "after": ["job_" + "0" * 26]}], 404, "no job"),
        ([{**JOB, "after": ["nonsense"]}], 422, "jobs.0.after"),
        ([{**JOB, "after": [{"job": "#0", "needs": "luck"}]}], 422, "needs"),
        ([reader("#0")], 400, "earlier job of this batch"),
        ([solver(), reader("#0", "plan.json")], 422, "solution.sol, solution.json"),
        ([JOB, reader("#0")], 422, "a job of kind probe leaves: probe.txt"),
        ([reader("job_" + "0" * 26)], 404, "no job"),
    ],
)
def test_what_cannot_run_is_refused_and_stores_nothing(
    api: TestClient, jobs: list[dict[str, Any]], status: int, message: str
) -> None:
    problem = batch(api, *jobs, status=status)
    assert message in str(problem)
    assert api.get("/v1/jobs").json()["items"] == []


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"job": "#0"}, "output"),
        ({"output": "solution.sol"}, "job"),
        ({}, "digest"),
        ({"job": "#0", "output": ""}, "digest"),
        ({"job": 7, "output": "solution.sol"}, "job"),
    ],
)
def test_half_a_reference_is_refused(
    api: TestClient, reference: dict[str, Any], message: str
) -> None:
    job = reader("#0")
    job["spec"]["warm_start"] = reference
    problem = batch(api, solver(), job, status=422)
    assert message in str(problem["errors"])


def test_another_tenants_job_does_not_exist(api: TestClient, key: Key) -> None:
    (foreign,) = batch(api, solver())
    other = {"headers": key("other")}
    for job in ({**JOB, "after": [foreign["id"]]}, reader(foreign["id"])):
        answer = api.post("/v1/jobs", json=job, **other)
        assert answer.status_code == 404, answer.text


def test_waiting_jobs_count_towards_the_quota(anonymous: TestClient, key: Key) -> None:
    anonymous.headers.update(key(limits={"queued_jobs": 3}))
    batch(anonymous, JOB, {**JOB, "after": ["#0"]}, {**JOB, "after": ["#1"]})
    answer = anonymous.post("/v1/jobs", json=JOB)
    assert answer.status_code == 429


def test_the_page_shows_what_a_job_waits_for(api: TestClient, store: MemoryStore) -> None:
    first, second = batch(api, solver(), {**reader("#0")})
    page = api.get(f"/jobs/{second['id']}").text
    assert "waiting for 1 job to end" in page
    assert f"/jobs/{first['id']}" in page
    assert "Waits for" in page
    assert "Needed by" in api.get(f"/jobs/{first['id']}").text
    assert "Waiting" in api.get("/?state=WAITING").text

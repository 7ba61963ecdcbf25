"""Outlines of plans, as the API shows, edits and approves them; tests act as the worker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.plans.outlines import memo_of, read_outline
from services.store.types import Completion, NewJob
from tests.doubles.memory_store import MemoryStore
from trimtab.plans import OutlineView
from trimtab.results import JobView

Key = Callable[..., dict[str, str]]
MODEL = "Minimize\n obj: x\nSubject To\n c: x >= 1\nEnd\n"
PATCH = {"content-type": "application/json-patch+json"}


def leaf(kind: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "title": kind,
        "stage": "s1",
        "kind": kind,
        "spec": spec,
        "budget": {"seconds": 5.0},
        "seconds": {"p50": 1.0, "p90": 2.0},
        "origin": {"source": "template"},
        **more,
    }


def outline(**more: Any) -> dict[str, Any]:
    solve = {"model_text": MODEL, "format": "lp"}
    start = {"leaf": "l1", "output": "solution.sol"}
    return {
        "goal": "solve it twice",
        "goals": {"g1": {"title": "solve"}},
        "stages": {"s1": {"title": "solve", "goal": "g1"}},
        "leaves": {
            "l1": leaf(
                "ilp",
                solve,
                spans={"budget.seconds": [{"start": 0, "end": 5}]},
                defaults={"spec.threads": "two"},
            ),
            "l2": leaf("ilp", {**solve, "warm_start": start}),
            "l3": leaf("probe", {}),
        },
        "edges": {"e1": {"parent": "l2", "child": "l3"}},
        **more,
    }


QUESTION = {
    "questions": {"q1": {"text": "How many?", "about": "devices", "options": ["8"]}},
    "leaves": {},
    "edges": {},
}


@pytest.fixture
def api(anonymous: TestClient, key: Key) -> TestClient:
    anonymous.headers.update(key())
    return anonymous


def rested(store: MemoryStore, document: dict[str, Any] | None = None) -> str:
    """Act as a worker whose run rests with an outline; returns the plan's id."""
    document = document or outline()

    async def act() -> str:
        await store.submit(
            NewJob(tenant="acme", kind="plan", spec={}, budget={"seconds": 5.0}, seed=0)
        )
        (claim,) = await store.claim("w", kinds=["plan"], lease_s=30)
        body = {"outline": document, "own": 7}
        completion = Completion(
            verb="hold",
            termination={"reason": "completed", "limit": None, "detail": ""},
            outcome="rested",
            memo=memo_of(body, read_outline(body)),
            asks=bool(document.get("questions")),
        )
        return (await store.complete(claim.job.id, claim.fence, completion)).id

    return asyncio.run(act())


def edit(
    api: TestClient, plan: str, *operations: dict[str, Any], revision: str = "1"
) -> Any:
    return api.patch(
        f"/v1/jobs/{plan}/outline",
        content=json.dumps(list(operations)),
        headers={**PATCH, "if-match": revision},
    )


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def approve(api: TestClient, plan: str, **more: Any) -> Any:
    seen = api.get(f"/v1/jobs/{plan}/outline").json()
    body = {"revision": seen["revision"], "digest": seen["digest"]} | more
    return api.post(f"/v1/jobs/{plan}/outline/approve", json=body)


def test_an_outline_is_read_edited_and_approved(
    api: TestClient, store: MemoryStore
) -> None:
    plan = rested(store)
    seen = api.get(f"/v1/jobs/{plan}/outline")
    OutlineView.model_validate_json(seen.text)
    assert seen.headers["etag"] == '"1"'
    view = api.get(f"/v1/jobs/{plan}").json()
    JobView.model_validate_json(json.dumps(view))
    assert (view["state"], view["graph"]) == ("AWAITING_APPROVAL", None)
    assert view["links"]["outline"] == f"/v1/jobs/{plan}/outline"
    changed = edit(
        api,
        plan,
        {"op": "test", "path": "/leaves/l1/seed", "value": 0},
        replace("/leaves/l1/budget/seconds", 7.5),
        replace("/leaves/l3/enabled", False),
        {"op": "remove", "path": "/edges/e1"},
        {"op": "add", "path": "/leaves/l2/spec/threads", "value": 1},
        revision=seen.headers["etag"],
    )
    assert changed.status_code == 200, changed.text
    assert changed.headers["etag"] == '"2"'
    leaves = changed.json()["outline"]["leaves"]
    assert leaves["l1"]["budget"] == {"seconds": 7.5}
    # The words of the goal no longer say what the value is; the untouched default stays.
    assert leaves["l1"]["spans"] == {}
    assert leaves["l1"]["defaults"] == {"spec.threads": "two"}
    assert changed.json()["digest"] != seen.json()["digest"]
    approved = approve(api, plan)
    assert approved.status_code == 202, approved.text
    assert approved.json()["state"] == "WAITING"
    assert approved.json()["graph"] == plan
    jobs = api.get(f"/v1/jobs/{plan}/outline").json()["jobs"]
    assert list(jobs) == ["l1", "l2"]
    running = api.get("/v1/workers").json()["jobs"]
    assert running == {"QUEUED": 1, "WAITING": 2}
    states = {
        job["id"]: (job["state"], job["labels"])
        for job in api.get("/v1/jobs", params={"graph": plan}).json()["items"]
    }
    assert states[jobs["l1"]] == ("QUEUED", {"plan": plan, "leaf": "l1"})
    assert states[jobs["l2"]] == ("WAITING", {"plan": plan, "leaf": "l2"})
    started = api.get(f"/v1/jobs/{jobs['l2']}/input").json()
    assert started["spec"]["warm_start"]["job"] == jobs["l1"]
    assert approve(api, plan).status_code == 202
    assert len(api.get("/v1/jobs", params={"graph": plan}).json()["items"]) == 3
    assert edit(api, plan, replace("/leaves/l1/seed", 1), revision="2").status_code == 409
    other = "sha256:" + "0" * 64
    assert approve(api, plan, digest=other).status_code == 409
    metadata = asyncio.run(store.memo(plan))
    assert metadata is not None
    assert metadata.body["own"] == 7
    cancelled = api.post(f"/v1/jobs/{plan}/cancel").json()
    assert cancelled["state"] == "CANCELLED"
    assert api.get(f"/v1/jobs/{jobs['l2']}").json()["state"] == "CANCELLED"


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (replace("/goal", "another"), "1.path: expected one of /leaves/*/spec/**"),
        (replace("/leaves/l1/kind", "probe"), "1.path"),
        (replace("/leaves/l9/seed", 1), "1.path: expected a place in the outline"),
        (replace("", {}), "1.path: expected a JSON pointer"),
        ({"op": "remove", "path": "/leaves/l1/budget/nothing"}, "1.path"),
        ({"op": "test", "path": "/leaves/l1/seed", "value": False}, "1.value"),
        ({"op": "add", "path": "/leaves/l4", "value": {}}, "1.path"),
        ({"op": "move", "path": "/edges", "from": "/answers"}, "1.op"),
        (
            {"op": "remove", "path": "/leaves/l1/spec"},
            "/leaves/l1/spec: expected a value",
        ),
        (replace("/leaves/l1/spec/engine", "gurobi"), "/leaves/l1/spec/engine"),
        (replace("/leaves/l1/budget/seconds", -1), "/leaves/l1/budget/seconds"),
        (replace("/leaves/l1/seed", "1"), "/leaves/l1/seed: expected an integer"),
        (
            replace("/leaves/l2/spec/warm_start/leaf", "l9"),
            "/leaves/l2/spec/warm_start/leaf",
        ),
        (replace("/leaves/l2/spec/warm_start/output", "x"), "/leaves/l2"),
        (
            replace("/leaves/l2/spec/warm_start", {"digest": "sha256:" + "0" * 64}),
            "expected an uploaded file",
        ),
        (
            replace(
                "/leaves/l2/spec/warm_start", {"job": "job_" + "0" * 26, "output": "x"}
            ),
            "/leaves/l2/spec/warm_start: expected a file by its digest",
        ),
        (
            {"op": "add", "path": "/edges/e2", "value": {"parent": "l3", "child": "l1"}},
            "/edges: expected leaves that do not wait for one another",
        ),
        (
            {"op": "add", "path": "/edges/e2", "value": {"parent": "l3", "child": "l7"}},
            "/edges/e2/child: expected one of l1, l2, l3, got 'l7'",
        ),
        ({"op": "add", "path": "/answers/q1", "value": "8"}, "/answers/q1"),
    ],
)
def test_a_refused_edit_names_the_place_and_changes_nothing(
    api: TestClient, store: MemoryStore, operation: dict[str, Any], message: str
) -> None:
    plan = rested(store)
    before = api.get(f"/v1/jobs/{plan}/outline").json()
    answer = edit(api, plan, replace("/leaves/l1/budget/seconds", 9.0), operation)
    assert message in answer.text, answer.text
    assert answer.status_code == 422
    assert answer.json()["errors"]
    assert api.get(f"/v1/jobs/{plan}/outline").json() == before


def test_headers_and_media_of_an_edit(api: TestClient, store: MemoryStore) -> None:
    plan = rested(store)
    path = f"/v1/jobs/{plan}/outline"
    body = json.dumps([replace("/leaves/l1/seed", 5)])
    for headers, status in (
        (PATCH, 400),
        ({**PATCH, "if-match": "*"}, 400),
        ({"content-type": "application/json", "if-match": "1"}, 415),
        ({**PATCH, "if-match": "2"}, 409),
        ({**PATCH, "if-match": 'W/"1"'}, 200),
    ):
        answer = api.patch(path, content=body, headers=headers)
        assert answer.status_code == status, (headers, answer.text)
    headers = {**PATCH, "if-match": "2"}
    for content, status in (("[", 400), ("[]", 422), ("{}", 422), (f"[{body}]", 422)):
        assert api.patch(path, content=content, headers=headers).status_code == status


def test_questions_are_answered(api: TestClient, store: MemoryStore) -> None:
    plan = rested(store, outline(**QUESTION))
    path = f"/v1/jobs/{plan}/outline/answers"
    assert api.get(f"/v1/jobs/{plan}").json()["state"] == "NEEDS_INPUT"
    assert approve(api, plan).status_code == 409
    for body, status in (
        ({"revision": 1, "answers": {}}, 422),
        ({"revision": 1, "answers": {"q9": "8"}}, 422),
        ({"revision": 1, "answers": {"q1": "x" * 2001}}, 422),
        ({"revision": 2, "answers": {"q1": "8"}}, 409),
        ({"revision": 1, "answers": {"q1": "8"}}, 202),
        ({"revision": 2, "answers": {"q1": "8"}}, 409),
    ):
        answer = api.post(path, json=body)
        assert answer.status_code == status, answer.text
    assert api.get(f"/v1/jobs/{plan}").json()["state"] == "QUEUED"
    shown = api.get(f"/v1/jobs/{plan}/outline").json()
    assert (shown["revision"], shown["outline"]["answers"]) == (2, {"q1": "8"})


def test_who_may_see_and_change_an_outline(
    anonymous: TestClient, key: Key, store: MemoryStore
) -> None:
    plan = rested(store)
    other, viewer = key("other"), key("acme", "viewer")
    body = {"revision": 1, "digest": "sha256:" + "0" * 64}
    path = f"/v1/jobs/{plan}/outline"
    assert anonymous.get(path, headers=viewer).status_code == 200
    assert anonymous.get(path, headers=other).status_code == 404
    for headers, status in ((other, 404), (viewer, 403)):
        approved = anonymous.post(f"{path}/approve", json=body, headers=headers)
        assert approved.status_code == status
        answers = {"revision": 1, "answers": {"q1": "8"}}
        answered = anonymous.post(f"{path}/answers", json=answers, headers=headers)
        assert answered.status_code == status
        patched = anonymous.patch(
            path,
            content=json.dumps([replace("/leaves/l1/seed", 5)]),
            headers={**PATCH, **headers, "if-match": "1"},
        )
        assert patched.status_code == status


def test_a_job_without_an_outline(api: TestClient, store: MemoryStore) -> None:
    job = api.post("/v1/jobs", json={"kind": "probe", "spec": {}}).json()
    answer = api.get(f"/v1/jobs/{job['id']}/outline")
    assert answer.status_code == 409
    assert "got a job without one" in answer.json()["detail"]
    assert "outline" not in job["links"]


def test_an_outline_without_a_job_to_run_is_not_approved(
    api: TestClient, store: MemoryStore
) -> None:
    plan = rested(store)
    dropped = [replace(f"/leaves/{name}/enabled", False) for name in ("l1", "l3")]
    assert edit(api, plan, *dropped).status_code == 200
    answer = approve(api, plan)  # l2 needs a file of l1
    assert answer.status_code == 422, answer.text
    assert "/leaves: expected at least one job that runs" in answer.json()["detail"]
    assert "enabled" in answer.text
    assert api.get(f"/v1/jobs/{plan}").json()["state"] == "AWAITING_APPROVAL"
    assert edit(api, plan, replace("/leaves/l3/enabled", True), revision="2").is_success
    assert approve(api, plan).status_code == 202


def test_an_edit_works_the_seconds_out_again_and_marks_the_words(
    api: TestClient, store: MemoryStore
) -> None:
    seconds = {"p50": 1.0, "p90": 2.0, "basis": "1 at once"}
    document = outline(understood="l1: solve.", seconds=seconds)
    document["leaves"]["l1"]["answered"] = {"budget.seconds": "5", "spec.format": "lp"}
    plan = rested(store, document)
    same = edit(api, plan, replace("/leaves/l1/seed", 0)).json()["outline"]
    assert (same["understood"], same["seconds"]["basis"]) == ("l1: solve.", "1 at once")
    for revision in ("2", "3"):
        shorter = replace("/leaves/l1/budget/seconds", float(revision))
        changed = edit(api, plan, shorter, revision=revision).json()["outline"]
        assert changed["understood"] == "of the outline before the edit: l1: solve."
        own = changed["leaves"]["l1"]["seconds"]
        assert own["basis"].startswith(f"{revision} s allowed")
        assert own["p50"] <= own["p90"] <= float(revision) + 2.0
        assert changed["seconds"]["p50"] >= own["p50"]
        assert changed["seconds"]["basis"].endswith("1 at once")
        assert changed["leaves"]["l1"]["answered"] == {"spec.format": "lp"}
    before = changed["seconds"]["p50"]
    dropped = replace("/leaves/l1/enabled", False)
    changed = edit(api, plan, dropped, revision="4").json()["outline"]
    assert changed["seconds"]["p50"] < before


def test_an_approval_counts_towards_the_quota(
    anonymous: TestClient, key: Key, store: MemoryStore
) -> None:
    plan = rested(store)
    anonymous.headers.update(key(limits={"queued_jobs": 3}))
    answer = approve(anonymous, plan)
    assert answer.status_code == 429, answer.text
    assert anonymous.get(f"/v1/jobs/{plan}").json()["state"] == "AWAITING_APPROVAL"
    # The resting plan itself counts too.
    edit(anonymous, plan, replace("/leaves/l3/enabled", False))
    assert approve(anonymous, plan).status_code == 202

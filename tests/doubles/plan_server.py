"""The endpoints of plans in memory, as an HTTP transport for the clients.

It checks what a client must send (revision, digest, content type) and moves one plan through its
states. It makes no outline: tests give one.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import httpx2

from trimtab.plans import Outline

URL = "http://server.test"
PLAN_ID = "job_" + "0" * 25 + "P"
REPORT = b"# Report\n\nThe cost is 12.3 ms.\n"


def outline(**more: Any) -> dict[str, Any]:
    """Return the outline of a goal with two jobs, one after the other."""
    goal = "Solve model.mps in 2 minutes with SCIP, then zorp it and mail me."

    def span(words: str) -> dict[str, int]:
        start = goal.index(words)
        return {"start": start, "end": start + len(words)}

    made: dict[str, Any] = {
        "goal": goal,
        "understood": "Solve model.mps, then again with HiGHS.",
        "goals": {"g1": {"title": "Solve model.mps", "spans": [span("model.mps")]}},
        "stages": {
            "s1": {"title": "First", "goal": "g1"},
            "s2": {"title": "Then", "goal": "g1"},
        },
        "leaves": {
            "l1": {
                "title": "Solve it",
                "stage": "s1",
                "kind": "ilp",
                "spec": {
                    "model": {"digest": "sha256:" + "0" * 64, "name": "model.mps"},
                    "engine": "scip",
                },
                "budget": {"seconds": 120.0},
                "spans": {
                    "kind": [span("Solve")],
                    "spec.model": [span("model.mps")],
                    "spec.engine": [span("SCIP")],
                    "budget.seconds": [span("2 minutes")],
                },
                "defaults": {},
                "seconds": {"p50": 60.0, "p90": 120.0, "basis": "past runs"},
                "origin": {"source": "template", "id": "ilp.solve"},
            },
            "l2": {
                "title": "Solve it again",
                "stage": "s2",
                "kind": "ilp",
                "spec": {
                    "model": {"digest": "sha256:" + "0" * 64, "name": "model.mps"},
                    "warm_start": {"leaf": "l1", "output": "solution.sol"},
                },
                "budget": {"seconds": 60.0},
                "defaults": {"budget.seconds": "no time is given"},
                "seconds": {"p50": 5.0, "p90": 60.0},
                "origin": {
                    "source": "model",
                    "id": "2",
                    "rivals": [
                        {
                            "source": "template",
                            "id": "ilp.solve",
                            "removed_by": "duplicate of l1",
                        }
                    ],
                },
            },
        },
        "edges": {"e1": {"parent": "l1", "child": "l2", "needs": "done"}},
        "not_done": [
            {
                "text": "mail me",
                "reason": "no mail is sent; set a webhook",
                "spans": [span("mail me")],
            }
        ],
        "not_understood": [span("zorp")],
        "notes": ["HiGHS is used where SCIP is not named."],
        "seconds": {"p50": 65.0, "p90": 180.0, "basis": "2 workers"},
        "text_model": "smollm2-135m",
    }
    return made | more


QUESTION = {"text": "How many devices?", "about": "devices.count", "options": ["8", "16"]}


class PlanServer:
    """One plan. `script` holds the states that looks find while it works."""

    def __init__(self, state: str, made: dict[str, Any]) -> None:
        self.state = state
        self.outline = Outline.model_validate_json(json.dumps(made)).model_dump(
            mode="json"
        )
        self.revision = 1
        self.jobs: dict[str, str] = {}
        self.submitted: dict[str, Any] = {}
        self.calls: list[str] = []
        self.script: list[str] = []

    @property
    def digest(self) -> str:
        """Digest of the newest revision."""
        return f"sha256:{self.revision:064d}"

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        path = request.url.path
        self.calls.append(f"{request.method} {path}")
        body = request.read()
        match request.method, re.sub(r"job_[0-9A-Z]{26}", "ID", path):
            case "POST", "/v1/jobs":
                self.submitted = json.loads(body)
                return httpx2.Response(202, json=self._view())
            case "GET", "/v1/jobs":
                assert request.url.params["graph"] == PLAN_ID
                items = [self._job(leaf) for leaf in self.jobs]
                return httpx2.Response(200, json={"items": items, "next_cursor": None})
            case "GET", "/v1/jobs/ID" | "/v1/jobs/ID/wait":
                if self.script:
                    self.state = self.script.pop(0)
                leaf = {job: leaf for leaf, job in self.jobs.items()}.get(path[9:39])
                return httpx2.Response(
                    200, json=self._job(leaf) if leaf else self._view()
                )
            case "GET", "/v1/jobs/ID/outline":
                if self.state == "FAILED":
                    return _problem(409, "outline: expected a plan with one, got none")
                return httpx2.Response(200, json=self._seen())
            case "PATCH", "/v1/jobs/ID/outline":
                return self._patch(request, json.loads(body))
            case "POST", "/v1/jobs/ID/outline/answers":
                return self._answer(json.loads(body))
            case "POST", "/v1/jobs/ID/outline/approve":
                return self._approve(json.loads(body))
            case "GET", "/v1/jobs/ID/result":
                return httpx2.Response(200, json=_result())
            case "GET", "/v1/jobs/ID/artifacts/report.md":
                return httpx2.Response(200, content=REPORT)
        return self._files(request, body)

    def _files(self, request: httpx2.Request, body: bytes) -> httpx2.Response:
        """Answer requests about uploaded files; none is known before its upload."""
        if request.method == "GET" and request.url.path.startswith("/v1/artifacts/"):
            return _problem(404, "digest: no such file")
        if request.method == "POST" and request.url.path == "/v1/artifacts":
            return httpx2.Response(201, json=_stored(body))
        return _problem(404, f"{request.method} {request.url.path}")

    def _patch(self, request: httpx2.Request, patch: list[Any]) -> httpx2.Response:
        assert request.headers["content-type"] == "application/json-patch+json"
        if request.headers["if-match"] != str(self.revision):
            return _problem(409, f"If-Match: expected {self.revision}")
        for step in patch:
            *parents, last = step["path"].split("/")[1:]
            at: Any = self.outline
            for name in parents:
                at = at[int(name)] if isinstance(at, list) else at[name]
            if step["path"].endswith("/engine") and step.get("value") == "gurobi":
                return _problem(
                    422, "/leaves/l1/spec/engine: expected scip, got 'gurobi'"
                )
            if step["op"] == "remove":
                del at[last]
            else:
                assert (last in at) == (step["op"] == "replace"), step
                at[last] = step["value"]
        self.revision += 1
        return httpx2.Response(200, json=self._seen())

    def _answer(self, body: dict[str, Any]) -> httpx2.Response:
        if self.state != "NEEDS_INPUT" or body["revision"] != self.revision:
            return _problem(409, "revision: it has changed")
        self.outline["answers"] |= body["answers"]
        self.revision += 1
        self.state = "QUEUED"
        open_ = set(self.outline["questions"]) - set(self.outline["answers"])
        self.script = [
            "QUEUED",
            "RUNNING",
            "NEEDS_INPUT" if open_ else "AWAITING_APPROVAL",
        ]
        return httpx2.Response(202, json=self._view())

    def _approve(self, body: dict[str, Any]) -> httpx2.Response:
        if body != {"revision": self.revision, "digest": self.digest}:
            return _problem(409, "digest: it has changed")
        enabled = [
            name for name, leaf in self.outline["leaves"].items() if leaf["enabled"]
        ]
        self.jobs = {
            leaf: "job_" + str(number).zfill(26) for number, leaf in enumerate(enabled)
        }
        self.state = "WAITING"
        self.script = ["WAITING"] * 5 + ["RUNNING", "SUCCEEDED"]
        return httpx2.Response(202, json=self._view())

    def _seen(self) -> dict[str, Any]:
        return {
            "job_id": PLAN_ID,
            "revision": self.revision,
            "digest": self.digest,
            "outline": self.outline,
            "jobs": self.jobs,
        }

    def _view(self) -> dict[str, Any]:
        view = {"id": PLAN_ID, "kind": "plan", "state": self.state, "budget": {}}
        if self.state == "FAILED":
            detail = "nothing can be done"
            view["termination"] = {"reason": "invalid_input", "detail": detail}
        return {**view, "created_at": "2026-01-01T00:00:00Z"}

    def _job(self, leaf: str) -> dict[str, Any]:
        state = "SUCCEEDED" if self.state in ("RUNNING", "SUCCEEDED") else "RUNNING"
        job = {"id": self.jobs[leaf], "kind": "ilp", "state": state}
        return {**self._view(), **job}


def _problem(status: int, detail: str) -> httpx2.Response:
    body = {"type": "about:blank", "title": "No", "status": status, "detail": detail}
    return httpx2.Response(status, json=body)


def _stored(body: bytes) -> dict[str, Any]:
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    return {"digest": digest, "name": "a", "size_bytes": len(body)}


def _result() -> dict[str, Any]:
    digest = "sha256:" + hashlib.sha256(REPORT).hexdigest()
    return {
        "kind": "plan",
        "termination": {"reason": "completed"},
        "verification": {"status": "valid"},
        "seed": 0,
        "artifacts": {"report.md": {"digest": digest, "name": "report.md"}},
    }

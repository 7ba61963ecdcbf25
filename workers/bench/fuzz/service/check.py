"""Random requests against a real server on loopback.

Most cases submit a spec with up to three random changes to a gateway that runs nothing. Every
answer must be a 2xx or a 4xx, a refusal must be a problem document that explains itself, and the
verdict must be the one of the kind's own model in this process. A small share of small jobs runs
to its end on a second server: every job must end, and for a reason other than `internal_error`.
"""

from __future__ import annotations

import functools
import http.client
import json
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from search.kinds import KINDS
from trimtab.specs.common import request_model
from workers.bench.fuzz.service import requests
from workers.bench.fuzz.types import Fault, Finding, Outcome
from workers.bench.service.harness import Server

RUN_SHARE = 0.004  # share of the cases that run a job to its end
OTHER_SHARE = 0.15  # share of reads, batches and actions on odd ids
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "DEAD")
WITHIN_S = 120.0
_UNEXPLAINED = ("pydantic", "Traceback", "Input should be", "further information")
Json = dict[str, Any]


def check(index: int, rng: np.random.Generator) -> Outcome:
    """Run one case: a request, or a job from start to end."""
    try:
        return _checked(rng)
    except (ConnectionError, http.client.HTTPException) as error:
        gone = Finding(
            fault=Fault.CRASHED,
            detail=f"the server no longer answers: {error!r}",
            case={"index": index},
        )
        return Outcome(label="gone", finding=gone)


def _checked(rng: np.random.Generator) -> Outcome:
    draw = float(rng.random())
    if draw < RUN_SHARE:
        return _run_to_the_end(rng)
    if draw < RUN_SHARE + OTHER_SHARE:
        return _other_route(rng)
    return _submit(rng)


# -- submitting --------------------------------------------------------------------------


def _submit(rng: np.random.Generator) -> Outcome:
    request = requests.changed(requests.drawn(rng), rng)
    body = requests.encoded(request, rng)
    case = {"body": body.decode("utf-8", "replace")[:4000]}
    status, answer = _gateway().ask("POST", "/v1/jobs", body)
    finding = _fault_of(status, answer, case)
    if finding is None:
        expected = _verdict(body)
        # Known to the server alone: files never uploaded, addresses closed to webhooks.
        refused_by_state = status == 422 and any(
            word in str(answer) for word in ("not uploaded", "webhook", "address")
        )
        if (status == 202) is not expected and not refused_by_state:
            fault = Fault.REFUSED if expected else Fault.WRONG
            finding = Finding(
                fault=fault,
                detail=f"HTTP {status} where the model says {expected}: {answer}",
                case=case,
            )
    return Outcome(label=f"submit-{status}", finding=finding)


def _verdict(body: bytes) -> bool:
    """Return whether the kind's own model accepts the body."""
    try:
        kind = json.loads(body).get("kind")
        request_model(KINDS[kind].spec).model_validate_json(body)
    except (
        ValidationError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ):
        return False
    return True


def _fault_of(status: int, answer: Any, case: Mapping[str, Any]) -> Finding | None:
    """Return a finding unless the answer is a 2xx, or a 4xx that explains itself."""
    if status >= 500 or status < 200 or 300 <= status < 400:
        return Finding(fault=Fault.CRASHED, detail=f"HTTP {status}: {answer}", case=case)
    if status < 300:
        return None
    fields = {"type", "title", "status", "detail"}
    if not isinstance(answer, dict) or not fields <= set(answer):
        return Finding(
            fault=Fault.CRASHED,
            detail=f"HTTP {status} without a problem document: {answer}",
            case=case,
        )
    text = json.dumps(answer)
    if word := next((word for word in _UNEXPLAINED if word in text), None):
        return Finding(
            fault=Fault.CRASHED,
            detail=f"HTTP {status}: {word!r} in {text[:500]}",
            case=case,
        )
    if status == 422 and not answer["detail"].strip():
        return Finding(
            fault=Fault.CRASHED,
            detail=f"HTTP 422 without a reason: {text[:500]}",
            case=case,
        )
    return None


# -- other routes ------------------------------------------------------------------------


def _other_route(rng: np.random.Generator) -> Outcome:
    method, path, body = requests.other_call(rng)
    case = {
        "method": method,
        "path": path,
        "body": (body or b"").decode("utf-8", "replace")[:2000],
    }
    status, answer = _gateway().ask(method, path, body)
    return Outcome(
        label=f"{method.lower()}-{status}", finding=_fault_of(status, answer, case)
    )


# -- running -----------------------------------------------------------------------------


def _run_to_the_end(rng: np.random.Generator) -> Outcome:
    request = requests.small(rng)
    case = {"body": json.dumps(request)[:4000]}
    server = _worker()
    status, answer = server.ask("POST", "/v1/jobs", json.dumps(request).encode())
    if (finding := _fault_of(status, answer, case)) is not None or status != 202:
        return Outcome(label=f"run-{status}", finding=finding)
    deadline = time.monotonic() + WITHIN_S
    while answer["state"] not in ENDED:
        if time.monotonic() > deadline:
            lost = Finding(
                fault=Fault.LOST,
                detail=f"not ended after {WITHIN_S:g} s: {answer}",
                case=case,
            )
            return Outcome(label="run-endless", finding=lost)
        _, answer = server.ask("GET", f"/v1/jobs/{answer['id']}/wait?timeout_s=20")
    reason = (answer["termination"] or {}).get("reason")
    label = f"{request['kind']}-{answer['state'].lower()}-{reason}"
    detail = str((answer["termination"] or {}).get("detail", ""))
    finding = None
    if (
        reason is None
        or (answer["state"] == "FAILED" and not detail)
        or reason == "internal_error"
    ):
        finding = Finding(
            fault=Fault.CRASHED,
            detail=f"ended {answer['state']} for {reason}: {detail}",
            case=case,
        )
    elif reason == "verification_failed":
        finding = Finding(fault=Fault.WRONG, detail=detail, case=case)
    elif answer["state"] == "SUCCEEDED":
        status, _ = server.ask("GET", f"/v1/jobs/{answer['id']}/result")
        if status != 200:
            finding = Finding(
                fault=Fault.LOST,
                detail=f"succeeded, but its result answers {status}",
                case=case,
            )
    return Outcome(label=label, finding=finding)


# -- the servers of this process ---------------------------------------------------------


class _Connection:
    """A server and a keep-alive connection to it."""

    def __init__(self, **settings: str) -> None:
        self._server = Server(
            Path(tempfile.mkdtemp(prefix="trimtab-fuzz-")) / "data", settings=settings
        )
        self._server.start()
        Finalize(self, self._server.stop, exitpriority=10)
        self._http = http.client.HTTPConnection(
            "127.0.0.1", self._server.port, timeout=60
        )

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Send a request; return the status and the parsed body."""
        headers = {"Authorization": f"Bearer {self._server.key}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            answer, raw = self._once(method, path, body, headers)
        except (ConnectionError, http.client.HTTPException):
            self._http.close()  # the idle connection was closed: open another one
            answer, raw = self._once(method, path, body, headers)
        try:
            return answer.status, json.loads(raw)
        except ValueError:
            return answer.status, raw[:500].decode("utf-8", "replace")

    def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        self._http.request(method, path, body=body, headers=dict(headers))
        answer = self._http.getresponse()
        return answer, answer.read()


@functools.cache
def _gateway() -> _Connection:
    return _Connection(role="gateway")


@functools.cache
def _worker() -> _Connection:
    return _Connection(role="all", workers="1")


__all__ = ["check"]

"""What sync and async clients share, without IO: building requests, reading answers, when to try again, SSE.

The clients in client.py and aio.py only move bytes; every decision is made here.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from trimtab import __version__
from trimtab.errors import ApiError, ProtocolError, SpecError, api_error
from trimtab.faults import Fault
from trimtab.files import LocalFile
from trimtab.results import SOLUTION_FILE, Event, JobState, Problem, RunResult
from trimtab.solution import SolutionValues, Variables
from trimtab.specs.common import Budget, JobRequest, Spec, Webhook, check_limits

M = TypeVar("M", bound=BaseModel)
RETRY_STATUS = frozenset({429, 502, 503, 504})
LONG_POLL_S = 25.0

# operation → (method, path). The one list of what the SDK speaks; a test compares it with the server's OpenAPI.
ROUTES: dict[str, tuple[str, str]] = {
    "submit": ("POST", "/v1/jobs"),
    "submit_batch": ("POST", "/v1/jobs:batch"),
    "list_jobs": ("GET", "/v1/jobs"),
    "get_job": ("GET", "/v1/jobs/{id}"),
    "delete_job": ("DELETE", "/v1/jobs/{id}"),
    "wait": ("GET", "/v1/jobs/{id}/wait"),
    "events": ("GET", "/v1/jobs/{id}/events"),
    "cancel": ("POST", "/v1/jobs/{id}/cancel"),
    "stop": ("POST", "/v1/jobs/{id}/stop"),
    "retry": ("POST", "/v1/jobs/{id}/retry"),
    "result": ("GET", "/v1/jobs/{id}/result"),
    "input": ("GET", "/v1/jobs/{id}/input"),
    "attempts": ("GET", "/v1/jobs/{id}/attempts"),
    "job_artifact": ("GET", "/v1/jobs/{id}/artifacts/{name}"),
    "upload": ("POST", "/v1/artifacts"),
    "artifact": ("GET", "/v1/artifacts/{digest}"),
    "artifact_content": ("GET", "/v1/artifacts/{digest}/content"),
    "kinds": ("GET", "/v1/kinds"),
    "kind": ("GET", "/v1/kinds/{kind}"),
    "list_keys": ("GET", "/v1/keys"),
    "create_key": ("POST", "/v1/keys"),
    "revoke_key": ("DELETE", "/v1/keys/{id}"),
    "session_ticket": ("POST", "/v1/session-tickets"),
    "me": ("GET", "/v1/me"),
    "workers": ("GET", "/v1/workers"),
    "healthz": ("GET", "/healthz"),
    "readyz": ("GET", "/readyz"),
    "metrics": ("GET", "/metrics"),
}
# These POSTs may be sent twice: they ask for a state, or store bytes named by their content.
_REPEATABLE = frozenset({"cancel", "stop", "upload", "session_ticket"})


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, ready to send and to send again."""

    operation: str
    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool
    """True when sending it twice does no harm."""
    read_timeout_s: float | None = None


def call(
    operation: str,
    *,
    params: Mapping[str, Any] | None = None,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    key: str | None = None,
    read_timeout_s: float | None = None,
    **where: str,
) -> Call:
    """The request of an operation; `where` fills its path, `key` is an idempotency key."""
    from urllib.parse import quote

    method, template = ROUTES[operation]
    path = template.format(
        **{name: quote(value, safe=":") for name, value in where.items()}
    )
    sent = {"Idempotency-Key": key} if key else {}
    content = None
    if body is not None:
        content = json.dumps(body, allow_nan=False).encode()
        sent["Content-Type"] = "application/json"
    return Call(
        operation=operation,
        method=method,
        path=path,
        params={name: value for name, value in (params or {}).items() if value is not None},
        body=content,
        headers={**sent, **(headers or {})},
        repeatable=method in ("GET", "DELETE")
        or key is not None
        or operation in _REPEATABLE,
        read_timeout_s=read_timeout_s,
    )


def http_headers(api_key: str | None) -> dict[str, str]:
    """What every request carries."""
    headers = {"User-Agent": f"trimtab-python/{__version__}", "Accept": "application/json"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    return headers


def new_key() -> str:
    """A fresh idempotency key."""
    return uuid.uuid4().hex


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When to send a call again. HTTP timeouts and this deadline are about the transport, never about the solve."""

    deadline_s: float = 60.0
    """Seconds from the first try (or the last progress of a stream) after which the failure is raised."""
    first_s: float = 0.2
    most_s: float = 8.0
    jitter: float = 0.5
    """Each pause is drawn from [1 - jitter, 1] times the exponential one, so that clients do not come back together."""
    contact_s: float | None = None
    """Until the first answer of the server: a shorter deadline, so that a wrong address is reported at once. None: the same."""
    on_pause: Callable[[str, float], None] | None = None
    """Called before each pause with the reason and the seconds until giving up, e.g. to show what is waited for."""

    def pause(
        self,
        attempt: int,
        elapsed_s: float,
        *,
        rng: random.Random,
        retry_after_s: float | None = None,
        answered: bool = True,
    ) -> float | None:
        """Seconds to pause before try number `attempt` + 1; None to give up. `answered`: the server has answered before."""
        drawn = min(self.most_s, self.first_s * 2 ** min(attempt, 30)) * rng.uniform(
            1 - self.jitter, 1
        )
        pause = max(drawn, retry_after_s or 0.0)
        return pause if elapsed_s + pause <= self.deadline(answered=answered) else None

    def timeout(
        self, timeout_s: float, read_s: float | None, *, answered: bool
    ) -> httpx2.Timeout:
        """Limits of one try: no connection is waited for longer than until giving up."""
        return httpx2.Timeout(
            timeout_s,
            read=read_s or timeout_s,
            connect=max(0.1, min(timeout_s, self.deadline(answered=answered) or timeout_s)),
        )

    def deadline(self, *, answered: bool) -> float:
        """Seconds until giving up."""
        return (
            self.deadline_s
            if answered or self.contact_s is None
            else min(self.contact_s, self.deadline_s)
        )


def may_repeat(sent: Call, failure: httpx2.Response | httpx2.TransportError) -> bool:
    """Whether this failure of this call allows another try."""
    if isinstance(failure, httpx2.Response):
        # 429 and 503 say that nothing was done; 502 and 504 do not.
        return failure.status_code in RETRY_STATUS and (
            sent.repeatable or failure.status_code in (429, 503)
        )
    never_sent = isinstance(
        failure, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
    )
    return sent.repeatable or never_sent


def reason_of(failure: httpx2.Response | httpx2.TransportError) -> str:
    """A failure in few words."""
    if isinstance(failure, httpx2.Response):
        return f"answered {failure.status_code} {failure.reason_phrase}".strip()
    if isinstance(failure, httpx2.TimeoutException):
        return "no answer in time"
    return str(failure) or type(failure).__name__


def retry_after_s(response: httpx2.Response) -> float | None:
    """The Retry-After header in seconds: a number, or an HTTP date."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def error_of(response: httpx2.Response) -> ApiError:
    """The typed error of a read response with an error status."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = Problem(
            type="about:blank",
            title=response.reason_phrase or "Error",
            status=response.status_code,
            detail=response.text[:500] or "the answer has no body",
        )
    update = {
        "request_id": problem.request_id or response.headers.get("x-request-id"),
        "retry_after_s": problem.retry_after_s
        if problem.retry_after_s is not None
        else retry_after_s(response),
    }
    return api_error(problem.model_copy(update=update))


def parse(model: type[M], response: httpx2.Response) -> M:
    """The body as a model."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise ProtocolError(
            f"{response.url} answered something that is no {model.__name__}: {error}"
        ) from error


def parse_json(response: httpx2.Response) -> Any:
    """The body as plain JSON."""
    try:
        return json.loads(response.content)
    except ValueError as error:
        raise ProtocolError(
            f"{response.url} answered something that is no JSON: {response.text[:200]!r}"
        ) from error


def parse_list(model: type[M], response: httpx2.Response, *names: str) -> list[M]:
    """A list body, bare or under one of `names`."""
    body = parse_json(response)
    if isinstance(body, dict):
        body = next((body[name] for name in names if name in body), None)
    if not isinstance(body, list):
        raise ProtocolError(f"{response.url} wants a list under one of {names}")
    try:
        return [model.model_validate_json(json.dumps(item)) for item in body]
    except ValidationError as error:
        raise ProtocolError(
            f"{response.url} answered something that is no {model.__name__}: {error}"
        ) from error


Submission = Spec | JobRequest | Mapping[str, Any]


def request_body(
    spec: Submission,
    *,
    kind: str | None = None,
    seconds: float | None = None,
    evaluations: int | None = None,
    target_gap: float | None = None,
    seed: int = 0,
    priority: int = 0,
    labels: Mapping[str, str] | None = None,
    max_attempts: int = 3,
    webhook: str | None = None,
) -> dict[str, Any]:
    """The envelope. A JobRequest is sent as it is; a mapping needs `kind` (for kinds this SDK does not know).

    Raises TypeError when options come beside a JobRequest, which has its own: silently dropping either would be wrong.
    """
    if isinstance(spec, JobRequest):
        defaults = (
            kind,
            seconds,
            evaluations,
            target_gap,
            seed,
            priority,
            labels or None,
            max_attempts,
            webhook,
        )
        if defaults != (None, None, None, None, 0, 0, None, 3, None):
            raise TypeError(
                "options came beside a JobRequest, which carries its own kind, budget, seed, priority, labels, max_attempts "
                "and webhook; change the request: request.model_copy(update={...})"
            )
        body = spec.model_dump(mode="json", exclude_none=True)
        # `spec` is typed Any in the base envelope: dump it by its own model.
        if isinstance(spec.spec, Spec):
            body["spec"] = spec.spec.model_dump(mode="json", exclude_none=True)
        return body
    if isinstance(spec, Spec):
        kind, inner = spec.KIND, spec.model_dump(mode="json", exclude_none=True)
    elif kind is not None:
        inner = dict(spec)
    else:
        hint = (
            "; a whole request came, submit its 'spec' with kind=, seconds=, ..."
            if "spec" in spec
            else ""
        )
        raise TypeError(
            f"a spec given as a mapping wants `kind=`, e.g. submit({{...}}, kind='ilp'){hint}"
        )
    limits: dict[str, Any] = {"evaluations": evaluations, "target_gap": target_gap}
    if seconds is not None:
        limits["seconds"] = float(seconds)
    budget = Budget(**{name: value for name, value in limits.items() if value is not None})
    if isinstance(spec, Spec):
        try:
            check_limits(type(spec), budget)
        except ValueError as error:
            raise SpecError("JobRequest", [Fault(path="", expected=str(error))]) from None
    request = JobRequest(
        kind=kind,
        spec=inner,
        budget=budget,
        seed=seed,
        priority=priority,
        labels=dict(labels or {}),
        max_attempts=max_attempts,
        webhook=Webhook(url=webhook) if webhook else None,
    )
    return request.model_dump(mode="json", exclude_none=True)


def local_files(spec: Submission) -> list[LocalFile]:
    """Files on this machine that the spec refers to."""
    inner = spec.spec if isinstance(spec, JobRequest) else spec
    refs = inner.artifacts().values() if isinstance(inner, Spec) else ()
    return [ref for ref in refs if isinstance(ref, LocalFile)]


def variables_of(spec: Submission) -> Variables | None:
    """The variables of the model object that the spec was made from."""
    inner = spec.spec if isinstance(spec, JobRequest) else spec
    return inner.variables() if isinstance(inner, Spec) else None


def with_values(
    result: RunResult, variables: Variables | None, fetch: Callable[[], bytes]
) -> RunResult:
    """The result, which can tell the values of the user's own variables when there are some."""
    if variables is not None and SOLUTION_FILE in result.artifacts:
        result._solution = SolutionValues(variables, lambda: nonzeros(fetch()))
    return result


def nonzeros(solution: bytes) -> dict[str, float]:
    """Name → value out of the bytes of a `solution.json`."""
    try:
        return {
            str(name): float(value)
            for name, value in json.loads(solution)["nonzeros"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"the job's {SOLUTION_FILE} is no solution: {error}") from error


class EventStream:
    """Parser of a job's server-sent events that survives reconnects: hands out each seq once, in order.

    Lines are split on bytes: str.splitlines would also break at U+2028, which JSON text may hold.
    """

    def __init__(self, job_id: str, after_seq: int = 0) -> None:
        self.job_id = job_id
        self.last_seq = after_seq
        self.ended = False
        self._buffer = b""
        self._name, self._data = "", list[bytes]()

    def call(self) -> Call:
        """The request that goes on after the last event seen."""
        self._buffer, self._name, self._data = (
            b"",
            "",
            [],
        )  # half an event of a broken connection is dropped
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(self.last_seq)}
        # The server pings every 15 s; a minute of silence is a dead connection.
        return call("events", headers=headers, id=self.job_id, read_timeout_s=60.0)

    def feed(self, block: bytes) -> Iterator[Event]:
        """New events in these bytes."""
        self._buffer += block
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line:
                name, _, value = line.partition(b":")
                value = value.removeprefix(b" ")
                if name == b"event":
                    self._name = value.decode()
                elif name == b"data":
                    self._data.append(value)
                continue
            name_, data = self._name, b"\n".join(self._data)
            self._name, self._data = "", []
            if name_ == "end":
                self.ended = True
                return
            if data:
                event = self._event(data)
                if event.seq > self.last_seq:
                    self.last_seq = event.seq
                    yield event

    def _event(self, data: bytes) -> Event:
        try:
            return Event.model_validate_json(data)
        except ValidationError as error:
            raise ProtocolError(
                f"job {self.job_id} sent an event that is none: {data[:200]!r}"
            ) from error


def is_bad_end(state: JobState) -> bool:
    """True for a terminal state without a result."""
    return state.is_terminal and state is not JobState.SUCCEEDED

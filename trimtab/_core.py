"""Logic shared by both clients, without IO: requests, answers, retries, event streams.

The clients in client.py and aio.py only move bytes; every decision is made here.
"""

from __future__ import annotations

import json
import os
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from trimtab import __version__
from trimtab.errors import ApiError, ProtocolError, SpecError, api_error
from trimtab.faults import Fault
from trimtab.files import LocalFile, Named
from trimtab.results import SOLUTION_FILE, Event, JobState, Problem, RunResult
from trimtab.solution import SolutionValues, Variables
from trimtab.specs.common import (
    MODEL_AUTO,
    After,
    ArtifactRef,
    Budget,
    JobRequest,
    Spec,
    Webhook,
    check_limits,
    check_model,
)

M = TypeVar("M", bound=BaseModel)
RETRY_STATUS = frozenset({429, 502, 503, 504})
LONG_POLL_S = 25.0

# Operation → (method, path): all of the API that the SDK uses. A test compares it with the
# server's OpenAPI document.
ROUTES: dict[str, tuple[str, str]] = {
    "submit": ("POST", "/v1/jobs"),
    "submit_batch": ("POST", "/v1/jobs:batch"),
    "list_jobs": ("GET", "/v1/jobs"),
    "get_job": ("GET", "/v1/jobs/{id}"),
    "delete_job": ("DELETE", "/v1/jobs/{id}"),
    "change_job": ("PATCH", "/v1/jobs/{id}"),
    "list_views": ("GET", "/v1/views"),
    "save_view": ("PUT", "/v1/views/{name}"),
    "delete_view": ("DELETE", "/v1/views/{name}"),
    "wait": ("GET", "/v1/jobs/{id}/wait"),
    "events": ("GET", "/v1/jobs/{id}/events"),
    "cancel": ("POST", "/v1/jobs/{id}/cancel"),
    "stop": ("POST", "/v1/jobs/{id}/stop"),
    "retry": ("POST", "/v1/jobs/{id}/retry"),
    "result": ("GET", "/v1/jobs/{id}/result"),
    "input": ("GET", "/v1/jobs/{id}/input"),
    "attempts": ("GET", "/v1/jobs/{id}/attempts"),
    "incumbent": ("GET", "/v1/jobs/{id}/incumbent"),
    "picture": ("GET", "/v1/jobs/{id}/pictures/{number}"),
    "outline": ("GET", "/v1/jobs/{id}/outline"),
    "edit_outline": ("PATCH", "/v1/jobs/{id}/outline"),
    "answer_outline": ("POST", "/v1/jobs/{id}/outline/answers"),
    "approve_outline": ("POST", "/v1/jobs/{id}/outline/approve"),
    "job_artifact": ("GET", "/v1/jobs/{id}/artifacts/{name}"),
    "upload": ("POST", "/v1/artifacts"),
    "artifact": ("GET", "/v1/artifacts/{digest}"),
    "artifact_content": ("GET", "/v1/artifacts/{digest}/content"),
    "fitted_models": ("GET", "/v1/fitted-models"),
    "fitted_model": ("GET", "/v1/fitted-models/{model_id}"),
    "model_card": ("GET", "/v1/fitted-models/{model_id}/card"),
    "model_picture": ("GET", "/v1/fitted-models/{model_id}/picture"),
    "retire_model": ("POST", "/v1/fitted-models/{model_id}/retire"),
    "kinds": ("GET", "/v1/kinds"),
    "kind": ("GET", "/v1/kinds/{kind}"),
    "chat": ("POST", "/v1/chat/completions"),
    "complete": ("POST", "/v1/completions"),
    "models": ("GET", "/v1/models"),
    "model": ("GET", "/v1/models/{model}"),
    "list_keys": ("GET", "/v1/keys"),
    "create_key": ("POST", "/v1/keys"),
    "revoke_key": ("DELETE", "/v1/keys/{id}"),
    "rotate_key": ("POST", "/v1/keys/{id}/rotate"),
    "artifacts": ("GET", "/v1/artifacts"),
    "delete_artifact": ("DELETE", "/v1/artifacts/{digest}"),
    "retention": ("GET", "/v1/retention"),
    "set_retention": ("PUT", "/v1/retention"),
    "preview_retention": ("POST", "/v1/retention/preview"),
    "run_retention": ("POST", "/v1/retention/run"),
    "usage": ("GET", "/v1/usage"),
    "deliveries": ("GET", "/v1/deliveries"),
    "resend_webhook": ("POST", "/v1/jobs/{id}/webhook/resend"),
    "audit": ("GET", "/v1/audit"),
    "session_ticket": ("POST", "/v1/session-tickets"),
    "me": ("GET", "/v1/me"),
    "workers": ("GET", "/v1/workers"),
    "healthz": ("GET", "/healthz"),
    "readyz": ("GET", "/readyz"),
    "metrics": ("GET", "/metrics"),
}
# POSTs that may be sent twice: they set a state, store bytes that are named by their content, or
# name what they approve.
_REPEATABLE = frozenset(
    {
        "cancel",
        "stop",
        "upload",
        "session_ticket",
        "approve_outline",
        "retire_model",
        "change_job",
        "save_view",
        "preview_retention",
        "run_retention",
    }
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP request, which can be sent again."""

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
    **path_fields: str,
) -> Call:
    """Build the request of an operation.

    `path_fields` fill the path's placeholders; `key` is an idempotency key, which makes a POST
    repeatable.
    """
    from urllib.parse import quote

    method, template = ROUTES[operation]
    path = template.format(
        **{name: quote(value, safe=":") for name, value in path_fields.items()}
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
        params={
            name: value for name, value in (params or {}).items() if value is not None
        },
        body=content,
        headers={**sent, **(headers or {})},
        repeatable=method in ("GET", "DELETE", "PUT")
        or key is not None
        or operation in _REPEATABLE,
        read_timeout_s=read_timeout_s,
    )


def http_headers(api_key: str | None) -> dict[str, str]:
    """Return the headers of every request."""
    headers = {
        "User-Agent": f"trimtab-python/{__version__}",
        "Accept": "application/json",
    }
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    return headers


def new_key() -> str:
    """Return a fresh idempotency key."""
    return uuid.uuid4().hex


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When to send a failed call again.

    Timeouts and deadlines here limit the transport; a job's own time is its budget.
    """

    deadline_s: float = 60.0
    """Seconds from the first try (or a stream's last progress) until the failure is raised."""
    first_s: float = 0.2
    """Seconds of the first pause; each further one is twice as long."""
    most_s: float = 8.0
    """Seconds of the longest pause."""
    jitter: float = 0.5
    """Each pause is drawn from [1 - jitter, 1] times the exponential one, so that clients that
    failed together do not return together."""
    contact_s: float | None = None
    """Deadline until the server's first answer, seconds: a short one reports a wrong address
    early. None: the same as `deadline_s`."""
    on_pause: Callable[[str, float], None] | None = None
    """Called before each pause with the reason and the seconds until giving up."""

    def pause(
        self,
        attempt: int,
        elapsed_s: float,
        *,
        rng: random.Random,
        retry_after_s: float | None = None,
        answered: bool = True,
    ) -> float | None:
        """Return seconds to pause before try number `attempt` + 1; None to give up.

        `answered`: the server has answered before.
        """
        drawn = min(self.most_s, self.first_s * 2 ** min(attempt, 30)) * rng.uniform(
            1 - self.jitter, 1
        )
        pause = max(drawn, retry_after_s or 0.0)
        return pause if elapsed_s + pause <= self.deadline(answered=answered) else None

    def timeout(
        self, timeout_s: float, read_s: float | None, *, answered: bool
    ) -> httpx2.Timeout:
        """Return the limits of one try; connecting takes at most the time until giving up."""
        return httpx2.Timeout(
            timeout_s,
            read=read_s or timeout_s,
            connect=max(
                0.1, min(timeout_s, self.deadline(answered=answered) or timeout_s)
            ),
        )

    def deadline(self, *, answered: bool) -> float:
        """Return seconds until giving up."""
        return (
            self.deadline_s
            if answered or self.contact_s is None
            else min(self.contact_s, self.deadline_s)
        )


def may_repeat(sent: Call, failure: httpx2.Response | httpx2.TransportError) -> bool:
    """Return True when this failure of this call allows another try."""
    if isinstance(failure, httpx2.Response):
        # After 429 and 503 the server has done nothing; after 502 and 504 it may have.
        return failure.status_code in RETRY_STATUS and (
            sent.repeatable or failure.status_code in (429, 503)
        )
    never_sent = isinstance(
        failure, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
    )
    return sent.repeatable or never_sent


def reason_of(failure: httpx2.Response | httpx2.TransportError) -> str:
    """Describe a failure in a few words."""
    if isinstance(failure, httpx2.Response):
        return f"answered {failure.status_code} {failure.reason_phrase}".strip()
    if isinstance(failure, httpx2.TimeoutException):
        return "no answer in time"
    return str(failure) or type(failure).__name__


def retry_after_s(response: httpx2.Response) -> float | None:
    """Return the Retry-After header (a number or an HTTP date) in seconds."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(
            0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        )
    except (ValueError, TypeError):
        return None


def error_of(response: httpx2.Response) -> ApiError:
    """Return the typed error of an answer with an error status, whose body is read."""
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
    """Decode the body as a model. Raises ProtocolError."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise _not_a(model, response, error) from error


def parse_json(response: httpx2.Response) -> Any:
    """Decode the body as plain JSON. Raises ProtocolError."""
    try:
        return json.loads(response.content)
    except ValueError as error:
        raise ProtocolError(
            f"{response.url}: expected JSON, got {response.text[:200]!r}"
        ) from error


def parse_list(
    model: type[M], response: httpx2.Response, field: str | None = None
) -> list[M]:
    """Decode a body that is a list, or an object with the list as `field`.

    Raises ProtocolError.
    """
    body = parse_json(response)
    items = body.get(field) if field is not None and isinstance(body, dict) else body
    if not isinstance(items, list):
        shape = "a list" if field is None else f"an object with the list {field!r}"
        raise ProtocolError(
            f"{response.url}: expected {shape}, got {type(body).__name__}"
        )
    try:
        return [model.model_validate_json(json.dumps(item)) for item in items]
    except ValidationError as error:
        raise _not_a(model, response, error) from error


def _not_a(
    model: type[BaseModel], response: httpx2.Response, error: ValidationError
) -> ProtocolError:
    return ProtocolError(f"{response.url}: expected a {model.__name__}, got: {error}")


Submission = Spec | JobRequest | Mapping[str, Any]


class HasId(Protocol):
    """A handle of a job."""

    @property
    def id(self) -> str:
        """The job's id."""
        ...


def output_of(job_id: str, name: str) -> ArtifactRef:
    """Return a reference to a file that a job is to produce, for the spec of another job."""
    return ArtifactRef(job=job_id, output=name)


@dataclass(frozen=True, kw_only=True)
class SubmitOptions:
    """Options of a submit: the envelope's fields, and those of its budget. See JobRequest."""

    kind: str | None = None
    """Needed for a spec that is a mapping, e.g. of a kind that this SDK does not know."""
    seconds: float | None = None
    evaluations: int | None = None
    target_gap: float | None = None
    seed: int = 0
    priority: int = 0
    labels: Mapping[str, str] | None = None
    max_attempts: int = 3
    webhook: str | None = None
    """URL to POST the job's end to."""
    after: Sequence[str | After | HasId | Mapping[str, Any]] | None = None
    """Jobs that must end first: ids, handles of jobs, or `After(job=..., needs="done")`."""
    model: str = MODEL_AUTO
    """Fitted model to use: `auto`, `shipped`, or an id of `client.fitted_models()`."""
    name: str = ""
    """Name for people, which can be changed later: `job.rename(...)`."""

    def budget(self) -> Budget:
        """Return the limits that are set; the others are the budget's defaults."""
        limits: dict[str, Any] = {
            "evaluations": self.evaluations,
            "target_gap": self.target_gap,
        }
        if self.seconds is not None:
            limits["seconds"] = float(self.seconds)
        return Budget(
            **{name: value for name, value in limits.items() if value is not None}
        )


def request_body(spec: Submission, **options: Any) -> dict[str, Any]:
    """Return a submit's JSON body. A JobRequest is sent unchanged; `options`: SubmitOptions.

    Raises TypeError for options beside a JobRequest, which has its own (dropping either silently
    would be wrong), and for a mapping without `kind`; SpecError for a limit that the kind ignores.
    """
    chosen = SubmitOptions(**options)
    if isinstance(spec, JobRequest):
        if replace(chosen, labels=chosen.labels or None) != SubmitOptions():
            raise TypeError(
                "expected no options beside a JobRequest, which carries its own kind, budget, "
                "seed, priority, labels, max_attempts, webhook, model and name; change the "
                "request: request.model_copy(update={...})"
            )
        return _plain_request(spec)
    kind, fields = _kind_and_fields(spec, chosen.kind)
    budget = chosen.budget()
    if isinstance(spec, Spec):
        try:
            check_limits(type(spec), budget)
            check_model(type(spec), chosen.model)
        except ValueError as error:
            raise SpecError("JobRequest", [Fault(path="", expected=str(error))]) from None
    request = JobRequest(
        kind=kind,
        spec=fields,
        budget=budget,
        seed=chosen.seed,
        priority=chosen.priority,
        labels=dict(chosen.labels or {}),
        max_attempts=chosen.max_attempts,
        webhook=Webhook(url=chosen.webhook) if chosen.webhook else None,
        after=tuple(map(_after, chosen.after or ())),
        model=chosen.model,
        name=chosen.name,
    )
    return request.model_dump(mode="json", exclude_none=True)


def _after(other: str | After | HasId | Mapping[str, Any]) -> After:
    if isinstance(other, After):
        return other
    if isinstance(other, Mapping):
        return After(**other)
    return After(job=other if isinstance(other, str) else other.id)


def _plain_request(request: JobRequest) -> dict[str, Any]:
    body = request.model_dump(mode="json", exclude_none=True)
    # `spec` is typed Any in the base envelope: dump it by its own model.
    if isinstance(request.spec, Spec):
        body["spec"] = request.spec.model_dump(mode="json", exclude_none=True)
    return body


def _kind_and_fields(
    spec: Spec | Mapping[str, Any], kind: str | None
) -> tuple[str, dict[str, Any]]:
    if isinstance(spec, Spec):
        return spec.KIND, spec.model_dump(mode="json", exclude_none=True)
    if kind is not None:
        return kind, dict(spec)
    remedy = (
        "this is a whole request: submit its 'spec' with kind=, seconds=, ..."
        if "spec" in spec
        else "e.g. submit({...}, kind='ilp')"
    )
    raise TypeError(
        f"expected `kind=` beside a spec that is a mapping, got none; {remedy}"
    )


def local_files(spec: Submission) -> list[LocalFile]:
    """Return the files on this machine that the spec refers to."""
    inner = spec.spec if isinstance(spec, JobRequest) else spec
    refs = inner.artifacts().values() if isinstance(inner, Spec) else ()
    return [ref for ref in refs if isinstance(ref, LocalFile)]


def named_files(given: Named) -> dict[str, ArtifactRef]:
    """Return files by their names; those of this machine are uploaded with the spec.

    Raises ValueError for two files of one name.
    """
    if isinstance(given, str | os.PathLike):
        given = [given]
    pairs: list[tuple[str, Any]] = (
        list(given.items())
        if isinstance(given, Mapping)
        else [(Path(path).name, path) for path in given]
    )
    named: dict[str, ArtifactRef] = {}
    for name, file in pairs:
        if name in named:
            raise ValueError(
                f"files: expected one file of each name, got two of {name!r}; name them: "
                f"files={{{name!r}: ..., 'other-{name}': ...}}"
            )
        named[name] = file if isinstance(file, ArtifactRef) else LocalFile.of(file, name)
    return named


def variables_of(spec: Submission) -> Variables | None:
    """Return the variables of the model object that the spec was made from."""
    inner = spec.spec if isinstance(spec, JobRequest) else spec
    return inner.variables() if isinstance(inner, Spec) else None


def with_values(
    result: RunResult, variables: Variables | None, fetch: Callable[[], bytes]
) -> RunResult:
    """Return the result, with values of the user's own variables when it has a solution file."""
    if variables is not None and SOLUTION_FILE in result.artifacts:
        result._solution = SolutionValues(variables, lambda: nonzeros(fetch()))
    return result


def nonzeros(solution: bytes) -> dict[str, float]:
    """Read name → value from the bytes of a `solution.json`. Raises ProtocolError."""
    try:
        return {
            str(name): float(value)
            for name, value in json.loads(solution)["nonzeros"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(
            f"{SOLUTION_FILE}: expected an object with 'nonzeros', got: {error}"
        ) from error


class EventStream:
    """Parser of a job's server-sent events over reconnects: each event once, in order.

    Lines are split as bytes: str.splitlines would also break at U+2028, which JSON text may have.
    """

    def __init__(self, job_id: str, after_seq: int = 0) -> None:
        self.job_id = job_id
        self.last_seq = after_seq
        self.ended = False
        self._buffer = b""
        self._name, self._data = "", list[bytes]()

    def call(self) -> Call:
        """Build the request that continues after the last event received."""
        # Half an event of a broken connection is dropped.
        self._buffer, self._name, self._data = b"", "", []
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(self.last_seq)}
        # The server pings every 15 s; a minute of silence is a dead connection.
        return call("events", headers=headers, id=self.job_id, read_timeout_s=60.0)

    def feed(self, block: bytes) -> Iterator[Event]:
        """Yield the events that these bytes complete."""
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
                _raise_refusal(data)
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
                f"events of job {self.job_id}: expected an Event, got {data[:200]!r}"
            ) from error


def _raise_refusal(data: bytes) -> None:
    """Raise AuthError if a stream ended because its key no longer works."""
    try:
        end = json.loads(data or b"{}")
    except ValueError:
        return
    if isinstance(end, dict) and end.get("status") == 401:
        raise api_error(
            Problem(
                type="about:blank",
                title="Unauthorized",
                status=401,
                detail=f"the stream ended: {str(end.get('detail'))[:300]}",
                fix="use a key that works; the job goes on",
            )
        )


def is_bad_end(state: JobState) -> bool:
    """Return True for a terminal state without a result."""
    return state.is_terminal and state is not JobState.SUCCEEDED

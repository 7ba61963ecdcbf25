"""Logic shared by both clients, without IO: requests, answers, retries.

The clients in client.py and aio.py only move bytes; every decision is made here, in
`trimtab._submission` and in `trimtab._events`.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from trimtab import __version__
from trimtab.errors import ApiError, ProtocolError, api_error
from trimtab.results import JobState, Problem

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
    "log": ("GET", "/v1/jobs/{id}/log"),
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


def is_bad_end(state: JobState) -> bool:
    """Return True for a terminal state without a result."""
    return state.is_terminal and state is not JobState.SUCCEEDED

"""Exceptions of the SDK.

TrimtabError
├── SpecError                 invalid spec or request: `faults` lists path, expected, got, remedy
├── ConfigError               no server is configured, or others can read the key file
├── ConnectionFailed          the server could not be reached within the retry deadline
├── ClientClosed              the client was closed before the request
├── ProtocolError             the answer does not follow the API
├── DigestMismatch            transferred bytes do not have the expected digest
├── WaitTimeout               `wait(timeout_s=...)` expired; the job continues
├── JobAtRest                 `wait()` of a plan that waits for its owner's answer or approval
├── JobFailed                 `result()` of a job that ended FAILED, DEAD, CANCELLED or SKIPPED
└── ApiError                  the server refused (RFC 9457 problem)
    ├── BadRequest            400, 413, 415
    │   └── InvalidBody       422: `errors` lists path, received and expected value
    ├── AuthError
    │   ├── Unauthorized      401
    │   └── Forbidden         403
    ├── NotFound              404
    ├── Conflict              409
    ├── TooManyRequests       429
    └── ServerError           5xx
        └── Unavailable       502, 503, 504
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimtab.faults import Fault
    from trimtab.results import JobView, Problem, Termination


class TrimtabError(Exception):
    """Base of all exceptions of the SDK."""


class SpecError(TrimtabError, ValueError):
    """A spec, or a part of one, is invalid. `path`, `expected`, `got`, `remedy`: first fault's."""

    def __init__(self, name: str, faults: list[Fault]) -> None:
        self.name, self.faults = name, faults
        first = faults[0]
        self.path, self.expected, self.got, self.remedy = (
            first.path,
            first.expected,
            first.got,
            first.remedy,
        )
        lines = [str(fault) for fault in faults[:20]]
        more = [f"and {len(faults) - 20} more"] if len(faults) > 20 else []
        super().__init__("\n".join([f"{lines[0]} (in {name})", *lines[1:], *more]))


class ConfigError(TrimtabError):
    """No server is configured, or others can read the key file."""


class ConnectionFailed(TrimtabError):
    """The server could not be reached within the retry deadline."""


class ClientClosed(TrimtabError):
    """The client was closed before the request."""


class ProtocolError(TrimtabError):
    """The answer does not follow the API. Is another program at this address?"""


class DigestMismatch(TrimtabError):
    """Transferred bytes have the digest `got`, not the one `expected`."""

    def __init__(self, name: str, *, expected: str, got: str) -> None:
        self.expected, self.got = expected, got
        super().__init__(f"{name}: expected {expected}, got {got}; transfer it again")

    @property
    def wanted(self) -> str:
        """Deprecated name of `expected`."""
        return self.expected

    @property
    def came(self) -> str:
        """Deprecated name of `got`."""
        return self.got


class WaitTimeout(TrimtabError):
    """The wait expired; the job continues."""

    def __init__(self, view: JobView, timeout_s: float) -> None:
        self.view, self.timeout_s = view, timeout_s
        super().__init__(
            f"job {view.id} is still {view.state} after {timeout_s:g} s; wait again, stop or "
            "cancel it"
        )


class JobAtRest(TrimtabError):
    """The job goes on only once its owner has answered or approved. `view` says which."""

    def __init__(self, view: JobView, url: str = "") -> None:
        self.view = view
        todo = (
            f"answer its questions: plan.answer(...), `trimtab outline {view.id}`"
            if view.state == "NEEDS_INPUT"
            else f"read its outline and approve it: plan.approve(), `trimtab approve {view.id}`"
        )
        page = f", or on {url}/jobs/{view.id}" if url else ""
        super().__init__(
            f"job {view.id} waits for its owner ({view.state}): {todo}{page}"
        )


class JobFailed(TrimtabError):
    """The job ended without a result. `view` and `termination` say why."""

    def __init__(self, view: JobView) -> None:
        self.view = view
        self.termination: Termination | None = view.termination
        why = (
            f": {view.termination.reason} {view.termination.detail}".rstrip()
            if view.termination
            else ""
        )
        super().__init__(f"job {view.id} is {view.state}{why}")


class ApiError(TrimtabError):
    """The server refused a request."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.status = problem.status
        self.type = problem.type
        self.request_id = problem.request_id
        self.fix = problem.fix
        self.errors: list[dict[str, Any]] = list(problem.errors)
        self.retry_after_s = problem.retry_after_s
        parts = [f"{problem.status} {problem.title}: {problem.detail}"]
        listed = [str(fault.get("message") or fault) for fault in self.errors[:5]]
        parts += [f"  {text}" for text in listed if text != problem.detail]
        parts += [f"to do: {problem.fix}"] if problem.fix else []
        parts += [f"(request {problem.request_id})"] if problem.request_id else []
        super().__init__("\n".join(parts))


class BadRequest(ApiError):
    """400, 413, 415: the request is malformed, too large or of a wrong type."""


class InvalidBody(BadRequest):
    """422: well-formed JSON, or a parameter, that does not fit the schema."""


class AuthError(ApiError):
    """The key is missing or invalid, or lacks a scope."""


class Unauthorized(AuthError):
    """401: the key is missing, unknown, expired or revoked."""


class Forbidden(AuthError):
    """403: the key lacks the scope."""


class NotFound(ApiError):
    """404: this tenant has no such object."""


class Conflict(ApiError):
    """409: the state does not allow this, or an idempotency key was used with another body."""


class TooManyRequests(ApiError):
    """429: rate limit or quota."""


class ServerError(ApiError):
    """5xx: a fault of the server."""


class Unavailable(ServerError):
    """502, 503, 504: try again later."""


# The problem's type is decisive (a quota may be 429 or 403), then the status.
_BY_SLUG: dict[str, type[ApiError]] = {
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "not-found": NotFound,
    "conflict": Conflict,
    "invalid-body": InvalidBody,
    "too-many-requests": TooManyRequests,
    "store-unavailable": Unavailable,
}
_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: InvalidBody,
    429: TooManyRequests,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def api_error(problem: Problem) -> ApiError:
    """Return the typed error of a problem."""
    slug = problem.type.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    chosen = _BY_SLUG.get(slug) or _BY_STATUS.get(problem.status)
    if chosen is None:
        chosen = ServerError if problem.status >= 500 else BadRequest
    return chosen(problem)

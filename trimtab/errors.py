"""Everything the SDK raises on purpose.

TrimtabError
├── SpecError                 a spec or request that cannot be made: `faults` lists path, expected, got, remedy
├── ConfigError               no server or key found, or a key file that others can read
├── ConnectionFailed          the server could not be reached within the retry deadline
├── ProtocolError             the answer was not what the API promises
├── DigestMismatch            bytes that came (or were stored) are not the bytes that were named
├── WaitTimeout               `wait(timeout_s=...)` ran out; the job goes on
├── JobFailed                 `result()` of a job that ended FAILED, DEAD or CANCELLED
└── ApiError                  the server said no (RFC 9457 problem)
    ├── BadRequest            400, 413, 415
    │   └── InvalidBody       422: `errors` lists {path, came, wanted}
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
    """Base of everything the SDK raises on purpose."""


class SpecError(TrimtabError, ValueError):
    """A spec, or a part of one, that cannot be made. `path`, `expected`, `got` and `remedy` are those of the first fault."""

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
    """No server or key found, or a key file that others can read."""


class ConnectionFailed(TrimtabError):
    """The server could not be reached within the retry deadline."""


class ProtocolError(TrimtabError):
    """The answer was not what the API promises. Is another program at this address?"""


class DigestMismatch(TrimtabError):
    """The bytes are not those that were named."""

    def __init__(self, name: str, *, expected: str, got: str) -> None:
        self.wanted, self.came = expected, got
        super().__init__(f"{name}: expected {expected}, got {got}; transfer it again")


class WaitTimeout(TrimtabError):
    """The wait ran out; the job goes on."""

    def __init__(self, view: JobView, timeout_s: float) -> None:
        self.view, self.timeout_s = view, timeout_s
        super().__init__(
            f"job {view.id} is still {view.state} after {timeout_s:g} s; wait again, stop or cancel it"
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
    """The server said no."""

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
    """422: well-formed JSON that does not fit the schema."""


class AuthError(ApiError):
    """The key is missing, wrong or does not reach this far."""


class Unauthorized(AuthError):
    """401: no key, or one that is unknown, expired or revoked."""


class Forbidden(AuthError):
    """403: the key's scopes do not reach this far."""


class NotFound(ApiError):
    """404: no such thing for this tenant."""


class Conflict(ApiError):
    """409: the thing's state does not allow this, or an idempotency key came with another body."""


class TooManyRequests(ApiError):
    """429: rate limit or quota."""


class ServerError(ApiError):
    """5xx: the server's fault."""


class Unavailable(ServerError):
    """502, 503, 504: try again later."""


# The problem's own type is read first (a quota may be 429 or 403 one day), then the status.
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
    """The typed error of a problem."""
    slug = problem.type.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    chosen = _BY_SLUG.get(slug) or _BY_STATUS.get(problem.status)
    if chosen is None:
        chosen = ServerError if problem.status >= 500 else BadRequest
    return chosen(problem)

"""Errors of the service and their HTTP status.

    ServiceError
    ├── BadRequest            400  malformed
    ├── Unauthorized          401
    ├── Forbidden             403
    ├── NotFound              404
    ├── Conflict              409  illegal transition, idempotency key with another body
    ├── PayloadTooLarge       413
    ├── UnsupportedMedia      415
    ├── InvalidBody           422  well-formed, but does not match the schema
    ├── InvalidQuery          422  a parameter of the query does not match the schema
    ├── InvalidPath           422  part of the path
    ├── InvalidHeader         422  a header
    ├── TooManyRequests       429  rate limit or quota; retry_after_s
    ├── StoreUnavailable      503  retry_after_s
    ├── ModelOffline          503  the language model does not answer
    ├── InsufficientStorage   507
    └── StaleFence                 write with an outdated fence; never sent to a client

`detail` says `field: expected X, got Y` and `fix` the remedy, both without a final period. The
gateway sends them as problem documents (RFC 9457).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


def field_error(path: str, *, got: Any, expected: str) -> dict[str, Any]:
    """Return one entry of `errors` of a problem document."""
    return {
        "path": path,
        "came": got,
        "wanted": expected,
    }


class ServiceError(Exception):
    """Base class. `detail` is the message, `fix` the remedy."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        fix: str | None = None,
        errors: list[dict[str, Any]] | None = None,
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix
        self.errors = errors or []
        self.retry_after_s = retry_after_s
        self.headers = dict(headers or {})
        self.code = code  # of OpenAI's error object; None: the slug


class BadRequest(ServiceError):
    """Malformed request: not JSON, an invalid header or query."""

    status, slug, title = 400, "bad-request", "Malformed request"


class Unauthorized(ServiceError):
    """No key, or an unknown, expired or revoked one."""

    status, slug, title = 401, "unauthorized", "Not authenticated"


class Forbidden(ServiceError):
    """A valid key without the required scope, or a cross-site request."""

    status, slug, title = 403, "forbidden", "Not allowed"


class NotFound(ServiceError):
    """The object does not exist for this tenant."""

    status, slug, title = 404, "not-found", "Not found"


class Conflict(ServiceError):
    """The state of the object does not allow this."""

    status, slug, title = 409, "conflict", "Conflict with the current state"


class PayloadTooLarge(ServiceError):
    """More bytes than allowed."""

    status, slug, title = 413, "too-large", "Payload too large"


class UnsupportedMedia(ServiceError):
    """Unsupported content type or encoding."""

    status, slug, title = 415, "unsupported-media", "Unsupported media type"


class InvalidBody(ServiceError):
    """Well-formed JSON that does not match the schema."""

    status, slug, title = 422, "invalid-body", "Invalid body"


class InvalidQuery(ServiceError):
    """A parameter of the query that does not match the schema."""

    status, slug, title = 422, "invalid-query", "Invalid query"


class InvalidPath(ServiceError):
    """Part of the path that does not match the schema."""

    status, slug, title = 422, "invalid-path", "Invalid path"


class InvalidHeader(ServiceError):
    """A header that does not match the schema."""

    status, slug, title = 422, "invalid-header", "Invalid header"


class TooManyRequests(ServiceError):
    """Rate limit or quota reached."""

    status, slug, title = 429, "too-many-requests", "Too many requests"


class StoreUnavailable(ServiceError):
    """The database does not answer."""

    status, slug, title = 503, "store-unavailable", "Database unavailable"

    def __init__(self, detail: str, *, retry_after_s: float = 1.0, **more: Any) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **more)


class ModelOffline(ServiceError):
    """The language model is not loaded, or its process ended."""

    status, slug, title = 503, "model-offline", "Language model unavailable"


class InsufficientStorage(ServiceError):
    """The disk is full."""

    status, slug, title = 507, "insufficient-storage", "No space left"


class StaleFence(ServiceError):
    """Write of a worker whose lease moved to another. Nothing was changed; the worker must stop."""

    def __init__(self, job_id: str, fence: int) -> None:
        self.job_id, self.fence = job_id, fence
        super().__init__(f"fence {fence} of job {job_id} is no longer current")

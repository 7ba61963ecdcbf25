"""Problem documents (RFC 9457): the body of every error response."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from search.kinds import Kind
from services.errors import (
    BadRequest,
    InvalidBody,
    InvalidHeader,
    InvalidPath,
    InvalidQuery,
    ServiceError,
    StaleFence,
    field_error,
)
from trimtab.faults import (
    dotted,
    fault_of,
    fields_by_path,
    is_secret,
    own_faults,
    with_example,
)
from trimtab.specs.common import JobRequest, Spec

log = structlog.get_logger("trimtab.gateway")
MEDIA_TYPE = "application/problem+json"
_TITLES = {
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "Method not allowed"),
}
_INVALID: Mapping[str, type[ServiceError]] = {
    "query": InvalidQuery,
    "path": InvalidPath,
    "header": InvalidHeader,
}
# Clients of OpenAI's API read the member `error` of a body, so problems of its routes have it too.
# OR-Tools' remote client reads the member `error` with a code and a message.
MATHOPT_ROUTE = "/v1/mathopt:solveMathOptModel"
_OPENAI_ROUTES = ("/v1/chat/completions", "/v1/completions", "/v1/models")
_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


def problem_response(
    request: Request,
    *,
    status: int,
    slug: str,
    title: str,
    detail: str,
    headers: dict[str, str] | None = None,
    code: str | None = None,
    **more: Any,
) -> Response:
    """Build the response of a problem document.

    code: of the `error` object on OpenAI's routes. None: the slug.
    """
    body = {
        "type": f"urn:trimtab:problem:{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.url.path[:500],
        "request_id": getattr(request.state, "request_id", None),
        **{k: v for k, v in more.items() if v not in (None, [])},
    }
    if speaks_openai(request.url.path):
        errors = more.get("errors") or [{}]
        body["error"] = openai_error(
            status,
            code=code or slug,
            message=f"{detail}; {more['fix']}" if more.get("fix") else detail,
            param=errors[0].get("path"),
        )
    if request.url.path == MATHOPT_ROUTE:
        message = f"{detail}; {more['fix']}" if more.get("fix") else detail
        body["error"] = {"code": status, "message": message, "status": slug}
    return Response(
        orjson.dumps(body), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


def speaks_openai(path: str) -> bool:
    """Return True for the routes whose clients speak OpenAI's API."""
    return any(path == route or path.startswith(f"{route}/") for route in _OPENAI_ROUTES)


def openai_error(
    status: int, *, code: str, message: str, param: str | None = None
) -> dict[str, Any]:
    """Return the error object of OpenAI's API."""
    usual = "server_error" if status >= 500 else "invalid_request_error"
    kind = _OPENAI_TYPES.get(status, usual)
    return {"message": message, "type": kind, "param": param, "code": code}


def service_error(request: Request, error: ServiceError) -> Response:
    """Convert a ServiceError into its problem document."""
    headers = dict(error.headers)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="trimtab"'
    return problem_response(
        request,
        status=error.status,
        slug=error.slug,
        title=error.title,
        detail=error.detail,
        fix=error.fix,
        errors=error.errors,
        retry_after_s=error.retry_after_s,
        headers=headers,
        code=error.code,
    )


def from_validation(
    error: ValidationError, *, kinds: Mapping[str, Kind] | None = None
) -> ServiceError:
    """Convert pydantic's errors: malformed JSON to 400, JSON that does not fit to 422.

    kinds: those of the union of requests that was parsed. Pydantic puts the kind in front of a
    location; it is not a field and is removed.
    """
    items = error.errors(include_url=False)
    if items and items[0]["type"] == "json_invalid":
        reason = items[0]["msg"].removeprefix("Invalid JSON: ")
        return BadRequest(
            f"(body): expected a JSON object, got text that does not parse: {reason}",
            fix="send a JSON object with finite numbers and valid Unicode text",
        )
    spec: type[Spec] | None = None
    for item in items:
        if len(item["loc"]) > 1 and (kind := (kinds or {}).get(str(item["loc"][0]))):
            item["loc"], spec = item["loc"][1:], kind.spec
    entries = [_entry(item, spec) for item in own_faults(items)]
    return InvalidBody(
        _summary(entries),
        errors=entries[:50],
        fix="see GET /v1/kinds for the schema of each kind",
    )


def _entry(item: Mapping[str, Any], spec: type[Spec] | None = None) -> dict[str, Any]:
    known: dict[str, list[str]] = {}
    if spec is not None and item["type"] == "extra_forbidden":
        known = fields_by_path(JobRequest) | fields_by_path(spec, "spec")
    fault = fault_of(item, known=known)
    if spec is not None:
        fault = with_example(fault, spec, "spec.")
    got = _shown(item["loc"], item.get("input")) if fault.got else ""
    if item["type"] == "missing":
        got = "nothing"
    entry = field_error(_path(item["loc"]), got=got, expected=fault.expected)
    return entry | {"message": str(fault)}


def _summary(entries: list[dict[str, Any]]) -> str:
    first = str(entries[0]["message"]) if entries else "the body does not fit the schema"
    more = len(entries) - 1
    return (
        first
        if more < 1
        else f"{first} (and {more} more {'error' if more == 1 else 'errors'}: see `errors`)"
    )


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""

    async def on_service_error(request: Request, error: Exception) -> Response:
        if isinstance(error, StaleFence) or not isinstance(error, ServiceError):
            return await on_unexpected(request, error)
        return service_error(request, error)

    async def on_http_error(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return await on_unexpected(request, error)
        slug, title = _TITLES.get(error.status_code, ("http-error", "Request refused"))
        detail = str(error.detail)
        if error.status_code == 404:
            detail = (
                f"no route {request.url.path[:200]}: the API starts at /v1 and is described "
                "at /openapi.json"
            )
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = allow = ", ".join(_allowed(request))
            detail = (
                f"{request.method} is not allowed at {request.url.path[:200]}; "
                f"allowed: {allow}"
            )
        return problem_response(
            request,
            status=error.status_code,
            slug=slug,
            title=title,
            detail=detail,
            headers=headers,
        )

    async def on_request_validation(request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            return await on_unexpected(request, error)
        # A location starts with the place of the parameter: "query", "path", "header" or "body".
        items = error.errors()[:50]
        entries = [
            _entry({**item, "loc": item["loc"][1:] or item["loc"]}) for item in items
        ]
        invalid = _INVALID.get(str(items[0]["loc"][0]), InvalidBody)
        return service_error(
            request,
            invalid(
                _summary(entries),
                errors=entries,
                fix="see the parameters in /openapi.json",
            ),
        )

    async def on_unexpected(request: Request, error: Exception) -> Response:
        log.error("unexpected error", path=request.url.path, exc_info=error)
        return problem_response(
            request,
            status=500,
            slug="internal",
            title="Internal error",
            detail="the server failed to handle this request; see its log under the request id",
        )

    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_request_validation)
    app.add_exception_handler(Exception, on_unexpected)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return `responses=` of a route: 401, 403 and 429, which every route can answer, and more."""
    names = {
        400: "Malformed request",
        401: "Not authenticated",
        403: "Not allowed",
        404: "Not found",
        409: "Conflict with the current state",
        413: "Payload too large",
        415: "Unsupported media type",
        422: "Does not match the schema",
        429: "Rate limit or quota reached",
        503: "Database unavailable; retry after Retry-After seconds",
        504: "The client's deadline is over; the job goes on",
        507: "No space left",
    }
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        s: {"description": names[s], "content": {MEDIA_TYPE: {"schema": schema}}}
        for s in sorted({401, 403, 429, *statuses})
    }


def _path(location: Iterable[Any]) -> str:
    return dotted(location) or "(body)"


def _shown(location: Iterable[Any], value: Any) -> Any:
    """Shorten a value for display: no secrets, and no numbers that JSON cannot express."""
    if is_secret(location, value):
        return "(not shown)"
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else f"{str(value)[:40]}…"
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    text = value if isinstance(value, str) else f"{type(value).__name__} {value!r}"
    text = text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    return text if len(text) <= 120 else text[:117] + "…"


def _allowed(request: Request) -> list[str]:
    """Return the methods of all routes of a path; the router names those of the first one."""
    found = {
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        for route in request.app.routes
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    }
    return sorted(found | {"HEAD"} if "GET" in found else found)

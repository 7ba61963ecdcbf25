"""The one middleware: request id, Host check, body limits, security headers, metrics, log line.

Plain ASGI, because Starlette's BaseHTTPMiddleware costs a task and a queue per request. The
Host check guards against DNS rebinding.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import secrets
import time
from collections.abc import Collection

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.errors import (
    BadRequest,
    NotFound,
    PayloadTooLarge,
    ServiceError,
    UnsupportedMedia,
)
from services.gateway.problems import service_error
from services.gateway.routes.health import PROBED
from services.telemetry import Metrics

log = structlog.get_logger("trimtab.http")
_SANE_ID = re.compile(r"^[A-Za-z0-9._\-]{1,64}$")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "testserver"})
_HEADERS = (
    ("x-content-type-options", "nosniff"),
    # Not `no-referrer`: browsers would send `Origin: null` with the forms of our own pages, and
    # the cross-site check would refuse them.
    ("referrer-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
)
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"


class Outermost:
    """Middleware around every request."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        max_body_bytes: int,
        allowed_hosts: Collection[str],
        any_host: bool,
        any_address: bool,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._hosts = _LOOPBACK | set(allowed_hosts)
        self._any_host = any_host
        # Not random per request: the system call releases the GIL, and the writer thread takes it.
        self._prefix = secrets.token_hex(5)
        self._numbers = itertools.count(1)
        self._any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = Headers(scope=scope)
        request_id = headers.get("x-request-id", "")
        if not _SANE_ID.match(request_id):
            request_id = f"{self._prefix}-{next(self._numbers):x}"
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                out["x-request-id"] = request_id
                for name, value in _HEADERS:
                    out[name] = value
                if "content-security-policy" not in out:
                    out["content-security-policy"] = _API_POLICY
                if "cache-control" not in out:
                    out["cache-control"] = "no-store"
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            try:
                self._check(scope, headers)
                limited = _limit_body(receive, self._limit_for(scope))
                await self._app(scope, limited, answer)
            except ServiceError as error:
                # Raised by the checks here or by the limit while a body is read; errors inside
                # the application have their own handlers.
                await service_error(Request(scope), error)(scope, receive, answer)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
            self._count(scope, status, time.perf_counter() - began, request_id)

    def _check(self, scope: Scope, headers: Headers) -> None:
        host = headers.get("host", "")
        name = (
            host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
        )
        if (
            not self._any_host
            and name.lower() not in self._hosts
            and not (self._any_address and _is_address(name))
        ):
            raise BadRequest(
                f"Host: expected a name of this server, got {host[:100]!r}",
                fix="ask the operator to add the name to TRIMTAB_ALLOWED_HOSTS",
            )
        if "\x00" in scope["path"]:
            # Refused here, because PostgreSQL takes no NUL.
            raise NotFound("path: expected text without NUL, got a NUL character")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise UnsupportedMedia(
                f"Content-Encoding: expected none, got {headers['content-encoding'][:40]!r}",
                fix="send the body uncompressed; a .gz file can be uploaded as a file",
            )
        length = headers.get("content-length")
        if length is not None:
            limit = self._limit_for(scope)
            if not length.isascii() or not length.isdigit():
                raise BadRequest(
                    f"Content-Length: expected a number, got {length[:40]!r}"
                )
            if limit is not None and int(length[:20]) > limit:
                raise _too_large(limit)

    def _limit_for(self, scope: Scope) -> int | None:
        # Uploads stream to disk and have their own limits (artifacts route, submit form).
        path = scope["path"]
        return (
            None
            if path == "/v1/artifacts" or path.startswith("/submit/")
            else self._max_body_bytes
        )

    def _count(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", "(none)")
        method = (
            scope["method"]
            if scope["method"]
            in ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH")
            else "?"
        )
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.latency.labels(method, route).observe(seconds)
        if route not in PROBED:
            level = log.warning if status >= 500 else log.debug
            level(
                "request",
                method=method,
                path=scope["path"],
                status=status,
                ms=round(seconds * 1e3, 2),
                id=request_id,
            )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _limit_body(receive: Receive, limit: int | None) -> Receive:
    if limit is None:
        return receive
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > limit:
                raise _too_large(limit)
        return message

    return limited


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"(body): expected at most {limit} bytes, got more",
        fix="upload large files to POST /v1/artifacts and send their digests, or send a batch "
        "in parts",
    )

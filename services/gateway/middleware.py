"""The one middleware: request id, Host check, body limits, security headers, metrics, log line.

Plain ASGI, because Starlette's BaseHTTPMiddleware costs a task and a queue per request. The
Host check guards against DNS rebinding.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import re
import secrets
import time
from collections.abc import Collection, Iterable

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers
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
    (b"x-content-type-options", b"nosniff"),
    # Not `no-referrer`: browsers would send `Origin: null` with the forms of our own pages, and
    # the cross-site check would refuse them.
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_OURS = frozenset({b"x-request-id", *(name for name, _ in _HEADERS)})
# Sent where the response has none of its own.
_USUAL = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)


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
        # Looked up once: (method, route, status) → series of the requests and of their latency.
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
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
                message["headers"] = _completed(message["headers"], request_id)
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            try:
                self._check(scope, headers)
                limited = _limit_body(receive, self._limit_for(scope))
                if scope["method"] == "HEAD":
                    await _answer_head(self._app, scope, answer)
                else:
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
        series = self._series.get((method, route, status))
        if series is None:
            series = self._series[method, route, status] = (
                self._metrics.requests.labels(method, route, str(status)),
                self._metrics.latency.labels(method, route),
            )
        requests, latency = series
        requests.inc()
        latency.observe(seconds)
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


def _completed(
    headers: Iterable[tuple[bytes, bytes]], request_id: str
) -> list[tuple[bytes, bytes]]:
    """Return a response's headers with those that every response has."""
    own = [(name, value) for name, value in headers if name not in _OURS]
    names = {name for name, _ in own}
    usual = [(name, value) for name, value in _USUAL if name not in names]
    return [*own, (b"x-request-id", request_id.encode()), *_HEADERS, *usual]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _answer_head(app: ASGIApp, scope: Scope, send: Send) -> None:
    """Answer HEAD with the headers of GET. The client is gone as soon as these are sent."""
    ended = asyncio.Event()

    async def receive() -> Message:
        if not ended.is_set() and not begun:
            begun.append(True)
            return {"type": "http.request", "body": b"", "more_body": False}
        await ended.wait()
        return {"type": "http.disconnect"}

    async def headers_alone(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            ended.set()

    begun: list[bool] = []
    inner = {**scope, "method": "GET"}
    await app(inner, receive, headers_alone)
    scope["route"] = inner.get("route")  # for the metrics


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

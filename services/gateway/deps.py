"""Dependencies of request handlers: the service's parts and the authenticated caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request

from search.kinds import Kind
from services.bus import Bus
from services.dispatcher.retention import Retention
from services.errors import Forbidden, Unauthorized
from services.gateway.auth import (
    AUTH_OFF_PRINCIPAL,
    COOKIE,
    HOW_TO_AUTHENTICATE,
    SCOPES,
    Keyring,
    Principal,
)
from services.gateway.limits import RateLimiter
from services.gateway.problems import MATHOPT_ROUTE
from services.gateway.text.replays import Replays
from services.settings import Settings
from services.store.blobs import BlobStore
from services.store.upkeep import Actor, ServiceStore, acting
from services.telemetry import Metrics
from workers.types import TextBackend

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from services.dispatcher.loop import Dispatcher

__all__ = [
    "Admin",
    "Context",
    "Ctx",
    "Lifetime",
    "Operator",
    "Pool",
    "Principal",
    "Submitter",
    "Viewer",
    "current_principal",
    "require",
    "visible_tenant",
]


@dataclass
class Pool:
    """The dispatcher and the language model of this process, while there are some."""

    dispatcher: Dispatcher | None = None
    text: TextBackend | None = None


@dataclass
class Lifetime:
    """Shutdown signal for streams and long polls: they end by themselves instead of being cut."""

    closing: bool = False
    waiters: set[asyncio.Event] = field(default_factory=set)

    def close(self) -> None:
        """Mark the server as closing and wake every waiter."""
        self.closing = True
        for waiter in self.waiters:
            waiter.set()

    @contextlib.contextmanager
    def waiting(self, waiter: asyncio.Event) -> Iterator[None]:
        """Also set `waiter` when the server closes."""
        self.waiters.add(waiter)
        try:
            yield
        finally:
            self.waiters.discard(waiter)


@dataclass(frozen=True, kw_only=True)
class Context:
    """The parts of the service, assembled by `create_app`."""

    settings: Settings
    store: ServiceStore
    blobs: BlobStore
    kinds: Mapping[str, Kind]
    bus: Bus
    keyring: Keyring
    limiter: RateLimiter
    metrics: Metrics
    request_adapter: TypeAdapter[Any]  # the union of the kinds' JobRequests
    retention: Retention
    pool: Pool = field(default_factory=Pool)
    replays: Replays = field(default_factory=Replays)
    lifetime: Lifetime = field(default_factory=Lifetime)


async def get_context(request: Request) -> Context:
    """Return the service's parts.

    A coroutine, because FastAPI runs a plain function in a thread for each request.
    """
    return _context(request)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


async def current_principal(request: Request) -> Principal:
    """Authenticate by bearer key, else by session cookie.

    Raises Unauthorized, TooManyRequests, and Forbidden for a cross-site request.
    """
    context = _context(request)
    if context.settings.auth == "off":
        # Any page open in a browser on this machine can reach a server on loopback.
        refuse_cross_site(request)
        note_caller(request, AUTH_OFF_PRINCIPAL)
        return AUTH_OFF_PRINCIPAL
    header = request.headers.get("authorization")
    google_key = request.headers.get("x-goog-api-key")
    if header is None and google_key is not None and request.url.path == MATHOPT_ROUTE:
        header = f"Bearer {google_key}"  # as OR-Tools' remote client sends it
    if header is not None:
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized(
                f"Authorization: expected the scheme Bearer, got {scheme[:20]!r}",
                fix=HOW_TO_AUTHENTICATE,
            )
        principal = await context.keyring.by_key(key.strip())
    else:
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            raise Unauthorized(
                "Authorization: expected an API key, got nothing", fix=HOW_TO_AUTHENTICATE
            )
        refuse_cross_site(request)
        principal = await context.keyring.by_session(cookie)
    per_minute = principal.limits.get(
        "requests_per_minute", context.settings.requests_per_minute
    )
    context.limiter.take(principal.key_id, "requests", per_minute=per_minute)
    request.state.principal = principal
    note_caller(request, principal)
    return principal


def note_caller(request: Request, principal: Principal) -> None:
    """Name the caller of this request for the audit log."""
    client = request.client
    acting.set(
        Actor(
            tenant=principal.tenant,
            key_id=principal.key_id,
            address="" if client is None else client.host,
            agent=request.headers.get("user-agent", "")[:100],
        )
    )


def require(scope: str) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency that admits callers whose key has at least `scope`."""
    if scope not in SCOPES:
        raise ValueError(f"scope: expected one of {', '.join(SCOPES)}, got {scope!r}")

    async def check(request: Request) -> Principal:
        principal = await current_principal(request)
        if not principal.allows(scope):
            scopes = ", ".join(sorted(principal.scopes)) or "none"
            raise Forbidden(
                f"scope: expected {scope!r}, got a key with {scopes}",
                fix=f"use a key with the scope {scope!r} or a higher one",
            )
        return principal

    check.scope = scope  # type: ignore[attr-defined]  # read by the test of every route
    return check


Ctx = Annotated[Context, Depends(get_context)]
Viewer = Annotated[Principal, Depends(require("viewer"))]
Submitter = Annotated[Principal, Depends(require("submitter"))]
Operator = Annotated[Principal, Depends(require("operator"))]
Admin = Annotated[Principal, Depends(require("admin"))]


def visible_tenant(principal: Principal) -> str | None:
    """Return the tenant whose jobs the caller may see; None (every tenant) for an admin."""
    return None if principal.allows("admin") else principal.tenant


def refuse_cross_site(request: Request) -> None:
    """Raise Forbidden for an unsafe request that a page of another site sent.

    Browsers attach the cookie to such requests, so the cookie alone proves nothing.
    """
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    if origin is not None:
        if urlsplit(origin).netloc != request.headers.get("host"):
            raise Forbidden(
                f"Origin: expected a page of this server, got {origin[:200]!r}"
            )
    elif site not in (None, "same-origin", "none"):
        raise Forbidden(f"Sec-Fetch-Site: expected same-origin, got {site[:40]!r}")

"""What a request handler may reach, and what it needs to know of who asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastapi import Request

from search.domains import Kind
from services.bus import Bus
from services.errors import Forbidden, Unauthorized
from services.gateway.auth import COOKIE, NOBODY, SCOPES, Keyring, Principal
from services.gateway.limits import RateLimiter
from services.settings import Settings
from services.store.blobs import BlobStore
from services.store.types import JobStore
from services.telemetry import Metrics

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from services.dispatcher.loop import Dispatcher

__all__ = [
    "Context",
    "Lifetime",
    "Pool",
    "Principal",
    "context",
    "current_principal",
    "require",
    "visible_tenant",
]


@dataclass
class Pool:
    """The dispatcher of this process, while there is one."""

    dispatcher: Dispatcher | None = None


@dataclass
class Lifetime:
    """Tells streams and long polls that the server is about to close, so that they end by themselves and are not cut."""

    closing: bool = False
    waiters: set[asyncio.Event] = field(default_factory=set)

    def close(self) -> None:
        """Wake everyone for the last time."""
        self.closing = True
        for waiter in self.waiters:
            waiter.set()

    @contextlib.contextmanager
    def waiting(self, waiter: asyncio.Event) -> Iterator[None]:
        """`waiter` is also set when the server closes."""
        self.waiters.add(waiter)
        try:
            yield
        finally:
            self.waiters.discard(waiter)


@dataclass(frozen=True, kw_only=True)
class Context:
    """The parts of the service, put together by create_app."""

    settings: Settings
    store: JobStore
    blobs: BlobStore
    kinds: Mapping[str, Kind]
    bus: Bus
    keyring: Keyring
    limiter: RateLimiter
    metrics: Metrics
    request_adapter: TypeAdapter[Any]  # the union of the kinds' JobRequests
    pool: Pool = field(default_factory=Pool)
    lifetime: Lifetime = field(default_factory=Lifetime)


async def context(request: Request) -> Context:
    """The service's parts. A coroutine, because FastAPI sends a plain function to a thread for each request."""
    return _parts(request)


def _parts(request: Request) -> Context:
    parts: Context = request.app.state.context
    return parts


async def current_principal(request: Request) -> Principal:
    """By bearer key, else by session cookie. Raises Unauthorized, or Forbidden for a request forged by another site."""
    parts = _parts(request)
    if parts.settings.auth == "off":
        refuse_cross_site(
            request
        )  # any page open in a browser of this machine can reach us
        return NOBODY
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized(f"authorization scheme {scheme[:20]!r} came; wanted Bearer")
        principal = await parts.keyring.by_key(key.strip())
    else:
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            raise Unauthorized(
                "no API key came",
                fix="send `Authorization: Bearer tt_...`; the first start left an admin key in admin.key of the data folder",
            )
        refuse_cross_site(request)
        principal = await parts.keyring.by_session(cookie)
    per_minute = principal.limits.get(
        "requests_per_minute", parts.settings.requests_per_minute
    )
    parts.limiter.take(principal.key_id, "requests", per_minute=per_minute)
    request.state.principal = principal
    return principal


def require(scope: str) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency: the caller's key reaches at least `scope`."""
    if scope not in SCOPES:
        raise ValueError(f"scope {scope!r} came; wanted one of {SCOPES}")

    async def check(request: Request) -> Principal:
        principal = await current_principal(request)
        if not principal.allows(scope):
            have = ", ".join(sorted(principal.scopes)) or "none"
            raise Forbidden(
                f"this needs scope {scope!r}; the key has {have}",
                fix="use a key with that scope",
            )
        return principal

    check.scope = scope  # type: ignore[attr-defined]  # a test reads it from every route
    return check


def visible_tenant(principal: Principal) -> str | None:
    """Whose jobs the caller may see: an admin's view is everybody's (None), everybody else's is their own."""
    return None if principal.allows("admin") else principal.tenant


def refuse_cross_site(request: Request) -> None:
    """The browser sends a cookie whatever page asked: unsafe methods want proof that the page was ours. Raises Forbidden."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    if origin is not None:
        if urlsplit(origin).netloc != request.headers.get("host"):
            raise Forbidden(
                f"this request came from a page of {origin[:200]!r}, not of this server"
            )
    elif site not in (None, "same-origin", "none"):
        raise Forbidden("this request came from a page of another site")

"""Sign-ins, refused sign-ins and sign-outs of the pages in the audit log."""

from __future__ import annotations

from fastapi import Request

from services.errors import TooManyRequests, Unauthorized
from services.gateway.auth import KEY_PATTERN
from services.gateway.deps import Context, Principal, note_caller
from services.store.upkeep import Actor, Deed

# Refused sign-ins that are recorded; whoever guesses keys must not fill the log.
_PER_ADDRESS = 20
_OF_ALL = 200


async def began(
    request: Request, context: Context, principal: Principal, *, by: str
) -> None:
    """Record a sign-in. `by`: key or link."""
    note_caller(request, principal)
    deed = Deed(action="session.begin", target=principal.key_id, detail={"by": by})
    await context.store.audit(deed)


async def refused(
    request: Request, context: Context, error: Unauthorized, *, by: str, key: str = ""
) -> None:
    """Record a refused sign-in: its reason, and the public id in the key that was tried.

    At most 20 a minute are recorded of one address, and 200 of all.
    """
    address = "" if request.client is None else request.client.host
    try:
        context.limiter.take(f"address {address}", "refused", per_minute=_PER_ADDRESS)
        context.limiter.take("addresses", "refused", per_minute=_OF_ALL)
    except TooManyRequests:
        return
    match = KEY_PATTERN.match(key)
    deed = Deed(
        action="session.refused",
        target="" if match is None else match.group(1),
        detail={"by": by, "reason": error.detail},
    )
    agent = request.headers.get("user-agent", "")[:100]
    actor = Actor(tenant="", key_id="", address=address, agent=agent)
    await context.store.audit(deed, actor=actor)


async def ended(request: Request, context: Context, cookie: str | None) -> None:
    """Record a sign-out, unless the session had ended before."""
    if cookie is None:
        return
    try:
        principal = await context.keyring.by_session(cookie)
    except Unauthorized:
        return
    note_caller(request, principal)
    await context.store.audit(Deed(action="session.end", target=principal.key_id))

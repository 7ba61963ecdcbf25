"""Long answers end when the key or session of their caller does."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from services.errors import StoreUnavailable, Unauthorized
from services.gateway.deps import Context, Principal

LOOK_S = 1.0  # between looks; a revocation elsewhere is known after some seconds


class Watch:
    """Looks now and then whether a caller is still allowed."""

    def __init__(self, context: Context, principal: Principal) -> None:
        self._keyring = context.keyring
        self._principal = principal
        self._next = 0.0

    async def check(self) -> None:
        """Raise Unauthorized once the caller's key or session has ended. Most calls do nothing."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LOOK_S
        try:
            why = await self._keyring.why_ended(self._principal)
        except StoreUnavailable:
            return  # an outage of the database does not end what was allowed
        if why:
            raise Unauthorized(why, fix="use a key that works")


async def watched(chunks: AsyncIterator[bytes], watch: Watch) -> AsyncIterator[bytes]:
    """Pass chunks of a request's body on. Raises Unauthorized, also after the last one."""
    async for chunk in chunks:
        await watch.check()
        yield chunk
    await watch.check()

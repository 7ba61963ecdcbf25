"""Answers kept for repeated requests, by idempotency key.

They are kept in this process's memory and not in the database: a restart forgets them, and texts of
users are written nowhere. A key belongs to a tenant, and lives an hour.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from services.errors import Conflict

LIFE_S = 3600.0
MAX_BYTES = 64 * 2**20
_OVERHEAD = 500  # bytes of an entry beside its answer


@dataclass
class Entry:
    """A request that was accepted, and its answer once it is complete."""

    digest: str
    until: float
    answer: bytes | None = None


class Replays:
    """Answers by (tenant, key); the oldest are dropped when there are too many bytes."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: OrderedDict[tuple[str, str], Entry] = OrderedDict()
        self._bytes = 0

    def begin(self, tenant: str, key: str, body: bytes) -> bytes | None:
        """Return the answer to an earlier request of the same key and body; None: it is new.

        Raises Conflict for another body, and while the first request is being answered.
        """
        self._expire()
        digest = hashlib.sha256(body).hexdigest()
        entry = self._entries.get((tenant, key))
        if entry is None:
            life = self._clock() + LIFE_S
            self._entries[tenant, key] = Entry(digest=digest, until=life)
            self._bytes += _OVERHEAD
            self._make_room()
            return None
        if entry.digest != digest:
            raise Conflict(
                f"Idempotency-Key: expected the body of its first request, got another with "
                f"{key[:40]!r}",
                fix="use a new key for a new request",
            )
        if entry.answer is None:
            raise Conflict(
                f"Idempotency-Key: expected one request at a time, got a second: {key[:40]!r}",
                fix="wait for the first answer, then repeat the request",
                retry_after_s=1.0,
            )
        return entry.answer

    def keep(self, tenant: str, key: str, answer: bytes) -> None:
        """Store the complete answer."""
        entry = self._entries.get((tenant, key))
        if entry is not None and entry.answer is None:
            entry.answer = answer
            self._bytes += len(answer)
            self._make_room()

    def forget(self, tenant: str, key: str) -> None:
        """Forget a request that was not answered, so that it can be repeated."""
        entry = self._entries.get((tenant, key))
        if entry is not None and entry.answer is None:
            self._drop((tenant, key))

    def _make_room(self) -> None:
        while self._bytes > MAX_BYTES and self._entries:
            self._drop(next(iter(self._entries)))

    def _expire(self) -> None:
        while self._entries:
            oldest = next(iter(self._entries))
            if self._entries[oldest].until > self._clock():
                return
            self._drop(oldest)

    def _drop(self, where: tuple[str, str]) -> None:
        entry = self._entries.pop(where)
        self._bytes -= _OVERHEAD + len(entry.answer or b"")

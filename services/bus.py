"""Wake-ups inside one process, for those who wait for a change of a job or of the queue.

A wake-up carries no data and may be spurious: the waiter reads the store again. Nothing is sent
between processes; waiters there poll, so a lost wake-up costs latency, never correctness.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator

QUEUE = "queue"  # topic: a job became claimable


class Bus:
    """Wake-ups by topic: job ids, and QUEUE. For one event loop."""

    def __init__(self) -> None:
        self._waiters: dict[str, set[asyncio.Event]] = defaultdict(set)

    def notify(self, topic: str) -> None:
        """Wake every current listener of `topic`."""
        for event in self._waiters.get(topic, ()):
            event.set()

    @contextlib.contextmanager
    def listen(self, topic: str) -> Iterator[asyncio.Event]:
        """Yield an event that each `notify` sets; clear it, read the store, then wait on it.

        Listening before reading ensures that no change in between is missed.
        """
        event = asyncio.Event()
        self._waiters[topic].add(event)
        try:
            yield event
        finally:
            self._waiters[topic].discard(event)
            if not self._waiters[topic]:
                del self._waiters[topic]


async def wait_for(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for an event; returns False after `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True

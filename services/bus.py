"""Wake-ups inside one process: who waits for a job (or for the queue) is told at once that something changed.

A wake-up carries no data and may be spurious: the waiter reads the store again. Between processes nothing is sent;
waiters there fall back to polling, so a lost wake-up costs latency and never correctness.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator

QUEUE = "queue"  # topic: a job became claimable


class Bus:
    """Topics are job ids, and QUEUE. Lives on one event loop."""

    def __init__(self) -> None:
        self._waiters: dict[str, set[asyncio.Event]] = defaultdict(set)

    def notify(self, topic: str) -> None:
        """Wake everyone who listens to `topic` now."""
        for event in self._waiters.get(topic, ()):
            event.set()

    @contextlib.contextmanager
    def listen(self, topic: str) -> Iterator[asyncio.Event]:
        """An event that is set by each `notify`; clear it before reading the store, then wait on it.

        Listen first, read second: a change between the two is then never missed.
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
    """True when `event` was set within `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True

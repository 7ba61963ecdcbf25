"""Events of a run on their way from its executor to the one that records them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from workers.types import Progress

MAX_WAITING = 2_000
"""Events that nobody took yet. A run sends some ten a second; a flood must not fill our memory."""


class ProgressQueue:
    """Events in order, for one consumer, until the run's end."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Progress | None] = asyncio.Queue()
        self._ended = False

    def put(self, progress: Progress) -> None:
        """Add an event. After the end it is dropped."""
        if self._ended:
            return
        if self._waiting.qsize() >= MAX_WAITING:
            self._waiting.get_nowait()  # a newer incumbent supersedes it
        self._waiting.put_nowait(progress)

    def end(self) -> None:
        """Let the consumer finish after the events that wait. May be called again."""
        if not self._ended:
            self._ended = True
            self._waiting.put_nowait(None)

    async def events(self) -> AsyncIterator[Progress]:
        """Yield the events until the end."""
        while (progress := await self._waiting.get()) is not None:
            yield progress

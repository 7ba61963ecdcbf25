"""The last bytes of a child's output."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

TAIL_BYTES = 16_384


class OutputTail:
    """Keeps the last `TAIL_BYTES` of a stream."""

    def __init__(self) -> None:
        self._chunks = deque[bytes]()
        self._size = 0

    async def collect(
        self,
        stream: asyncio.StreamReader | None,
        on_chunk: Callable[[bytes], None] = lambda chunk: None,
    ) -> None:
        """Read the stream to its end."""
        while stream is not None and (chunk := await stream.read(65_536)):
            on_chunk(chunk)
            self._chunks.append(chunk[-TAIL_BYTES:])
            self._size += len(self._chunks[-1])
            while self._size > TAIL_BYTES and len(self._chunks) > 1:
                self._size -= len(self._chunks.popleft())

    def text(self) -> str:
        """Return the tail as text that any store takes: no NUL, no invalid Unicode."""
        tail = b"".join(self._chunks)[-TAIL_BYTES:]
        return tail.decode(errors="replace").replace("\x00", "\ufffd").strip()

"""Output of a run's programs as events for those who watch, bounded however much is printed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

MOST_BYTES = 8_192
"""Bytes of one event; of more, the newest lines count."""
FIRST_S = 0.3
"""Seconds from the first line of an event to its publication, in which further lines join it."""
INTERVAL_S = 1.0
"""Least seconds between two events."""
INTERVAL_SHARE = 1 / 64
"""Least interval as a share of the run time: an hour has at most some 330 events, a day 530."""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class OutputLog:
    """Publishes printed lines in batches, at a rate that falls with the run time."""

    def __init__(self, publish: Callable[[str], None]) -> None:
        self._publish = publish
        self._began = time.monotonic()
        self._next_at = 0.0
        self._pending = bytearray()
        self._left_out = 0  # lines
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def add(self, chunk: bytes) -> None:
        """Take a chunk of output. Call it in the event loop."""
        if self._closed:
            return
        self._pending += chunk
        if (excess := len(self._pending) - MOST_BYTES) > 0:
            # Whole lines are left out, unless one line alone is too long.
            end = self._pending.find(b"\n", excess - 1) + 1 or excess
            self._left_out += self._pending.count(b"\n", 0, end)
            del self._pending[:end]
        if self._timer is None:
            wait_s = max(FIRST_S, self._next_at - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._due)

    def close(self, *, discard: bool = False) -> None:
        """Publish what is pending, unless `discard`, and nothing later."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if not discard:
            self._send(len(self._pending))

    def _due(self) -> None:
        self._timer = None
        now = time.monotonic()
        self._next_at = now + max(INTERVAL_S, INTERVAL_SHARE * (now - self._began))
        self._send(self._pending.rfind(b"\n") + 1)

    def _send(self, length: int) -> None:
        text = printable(bytes(self._pending[:length]))
        del self._pending[:length]
        if self._left_out:
            lines = "line" if self._left_out == 1 else "lines"
            text = f"[{self._left_out:,} {lines} left out]\n{text}"
            self._left_out = 0
        if text.strip():
            self._publish(text.rstrip("\n"))


def printable(output: bytes) -> str:
    """Decode output as text without terminal escapes and control characters."""
    text = output.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("\ufffd", _ESCAPE.sub("", text))

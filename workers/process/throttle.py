"""Throttle of a run's reports: a limited rate, and the newest is never lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
# Factor of the time that a send took: the least time from its start to the next send.
_SLOW_SHARE = 10


class NewestThrottle(Generic[Item]):
    """Sends an item immediately, or the newest one after `interval_s`.

    Items in between are dropped: a newer incumbent supersedes an older one. A slow `send` (a large
    checkpoint) lengthens the interval, so that sending takes at most a tenth of the time.
    """

    def __init__(self, send: Callable[[Item], None], *, interval_s: float = 0.1) -> None:
        if not interval_s > 0:
            raise ValueError(f"interval_s: expected an interval > 0, got {interval_s!r}")
        self._send = send
        self._interval_s = interval_s
        self._changed = threading.Condition()
        self._pending: Item | None = None
        self._next_at = -float("inf")
        self._closed = False
        self._flusher = threading.Thread(
            target=self._flush_late, name="throttle", daemon=True
        )
        self._flusher.start()

    def offer(self, item: Item) -> None:
        """Send an item now, or soon unless a newer one replaces it."""
        with self._changed:
            if self._closed:
                raise RuntimeError("the throttle is closed")
            if time.monotonic() >= self._next_at:
                self._pending = None
                self._pass_on(item)
            else:
                self._pending = item
                self._changed.notify()

    def flush(self) -> None:
        """Send what is pending now."""
        with self._changed:
            pending, self._pending = self._pending, None
            if pending is not None:
                self._pass_on(pending)

    def close(self) -> None:
        """Send what is pending and end."""
        with self._changed:
            self._closed = True
            if self._pending is not None:
                self._pass_on(self._pending)
                self._pending = None
            self._changed.notify()
        self._flusher.join()

    def _pass_on(self, item: Item) -> None:
        began = time.monotonic()
        self._send(item)
        took_s = time.monotonic() - began
        self._next_at = began + max(self._interval_s, _SLOW_SHARE * took_s)

    def _flush_late(self) -> None:
        with self._changed:
            while not self._closed:
                if self._pending is None:
                    self._changed.wait()
                    continue
                left = self._next_at - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                pending, self._pending = self._pending, None
                self._pass_on(pending)

"""Time-ordered ids: `job_` and 26 characters of Crockford base32, sorted by creation.

The layout is that of ULIDs: 48 bits of milliseconds, then 80 bits that are random for the first
id of a millisecond and incremented for the next ones. The ids of one process never decrease,
even if the clock does.
"""

from __future__ import annotations

import secrets
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)  # 10 bits each


class IdMaker:
    """Generates ids with one prefix; thread-safe."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> str:
        """Return the next id."""
        with self._lock:
            fresh = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(79)
            # The top random bit stays 0, so that increments cannot overflow into the milliseconds.
            same_ms_or_backwards = fresh >> 80 <= self._last >> 80
            self._last = self._last + 1 if same_ms_or_backwards else fresh
            return f"{self._prefix}_{_base32(self._last)}"


def _base32(value: int) -> str:
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])

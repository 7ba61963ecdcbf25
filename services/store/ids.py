"""Time-ordered ids: `job_` and 26 characters of Crockford base32, which sort as they were made.

48 bits of milliseconds, then 80 bits that are random at the first id of a millisecond and grow by one after it
(the ULID layout), so that ids made by one process never go backwards, even when the clock does.
"""

from __future__ import annotations

import secrets
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class IdMaker:
    """Makes ids of one prefix; safe between threads."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> str:
        """The next id."""
        with self._lock:
            fresh = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(79)
            # The top random bit is left free, so that counting up cannot run into the milliseconds.
            same_ms_or_backwards = fresh >> 80 <= self._last >> 80
            self._last = self._last + 1 if same_ms_or_backwards else fresh
            return f"{self._prefix}_{_base32(self._last)}"


def _base32(value: int) -> str:
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))

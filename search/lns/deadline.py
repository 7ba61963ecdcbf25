"""Deadline of a search, shared by the loop, its arms and the solvers they call."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


def _never() -> bool:
    return False


class Deadline:
    """Time limit on `time.monotonic()`, which all processes of a machine share.

    at: the time; infinity for none. stop: ends the search earlier when it returns True.
    """

    def __init__(
        self, at: float = math.inf, *, stop: Callable[[], bool] = _never
    ) -> None:
        self._at, self._stop = at, stop

    def over(self) -> bool:
        """Return True once the time has come or `stop()` is True."""
        return time.monotonic() >= self._at or self._stop()

    def left_s(self) -> float:
        """Return the seconds that are left, at least 0."""
        return max(0.0, self._at - time.monotonic())

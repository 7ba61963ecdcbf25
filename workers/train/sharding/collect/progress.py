"""Progress of a measurement, one line every two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field


def to_stderr(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@dataclass(kw_only=True)
class Progress:
    """Reports the state of a run, at most once in `every_s`."""

    total: int
    """Target number of samples."""
    done: int
    """Samples in the file."""
    say: Callable[[str], None] = to_stderr
    every_s: float = 2.0
    clock: Callable[[], float] = time.monotonic
    _started: float = field(init=False)
    _last: float = field(init=False)
    _at_start: int = field(init=False)

    def __post_init__(self) -> None:
        self._started = self._last = self.clock()
        self._at_start = self.done

    def tick(self, doing: str) -> None:
        """Report if `every_s` has passed since the last report; call often."""
        if (now := self.clock()) - self._last < self.every_s:
            return
        self._last = now
        elapsed, made = now - self._started, self.done - self._at_start
        left = (
            f", about {elapsed / made * (self.total - self.done):.0f} s left"
            if made
            else ""
        )
        self.say(f"{self.done}/{self.total} samples, {elapsed:.0f} s{left}; {doing}")

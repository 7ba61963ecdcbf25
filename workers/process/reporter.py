"""Reports of a run: incumbents, each after its checkpoint is on disk.

So every reported incumbent can be restored, however the run ends.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

from search import checkpoint
from trimtab.results import Incumbent
from workers.process.throttle import NewestThrottle

Dump = Callable[[], bytes]


class Reporter:
    """Sends incumbents, at most ten a second, and writes checkpoints to the run folder."""

    def __init__(self, send: Callable[[Incumbent], None], *, workdir: Path) -> None:
        self._send = send
        self._path = workdir / checkpoint.FILE_NAME
        # Not written yet. It outlives the incumbent it came with, which a newer point may replace.
        self._offered: Dump | None = None
        self._taking = threading.Lock()
        self._throttle: NewestThrottle[Incumbent] = NewestThrottle(self._pass_on)
        self._warned = False

    def checkpoint(self, dump: Dump) -> None:
        """Set the checkpoint of the next incumbent, or of the run's last solution."""
        with self._taking:
            self._offered = dump

    def incumbent(self, point: Incumbent) -> None:
        """Report an incumbent now, or soon unless a newer one replaces it."""
        self._throttle.offer(point)

    def flush(self) -> None:
        """Write and report what is pending, because the next phase begins."""
        self._throttle.flush()
        self._write_offered()

    def close(self) -> None:
        """Report what is pending and end."""
        self._throttle.close()

    def _pass_on(self, point: Incumbent) -> None:
        self._write_offered()
        self._send(point)

    def _write_offered(self) -> None:
        with self._taking:
            dump, self._offered = self._offered, None
        if dump is None:
            return
        try:
            checkpoint.write(self._path, dump())
        except (
            Exception
        ) as error:  # a checkpoint is a precaution: it must not end the run
            if not self._warned:
                self._warned = True
                print(
                    f"the checkpoint cannot be written: {type(error).__name__}: {error}",
                    file=sys.stderr,
                )

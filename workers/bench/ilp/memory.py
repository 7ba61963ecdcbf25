"""How much memory a process and its children hold at most."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

_EVERY_S = 0.5


class PeakMemory:
    """Context that looks twice a second: proportional set size (shared pages count once) of a process and all below it.

    Without `/proc/PID/smaps_rollup` (not Linux) the peak stays 0. A child that lives for less than half a second may be missed.
    """

    def __init__(self, pid: int) -> None:
        self.peak_bytes, self._pid = 0, pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self.peak_bytes = max(
                self.peak_bytes, sum(_held_bytes(pid) for pid in _tree(self._pid))
            )


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))
    except OSError:
        return  # it ended


def _held_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next(
        (
            1024 * int(line.split()[1])
            for line in text.splitlines()
            if line.startswith("Pss:")
        ),
        0,
    )

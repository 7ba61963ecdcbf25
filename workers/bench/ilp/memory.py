"""Peak memory of a process and its descendants."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

_EVERY_S = 0.5


class PeakMemory:
    """Context that samples the memory of a process and its descendants twice a second.

    Memory is the proportional set size.

    Shared pages count once. Without `/proc/PID/smaps_rollup` (not Linux) the peak stays 0. A
    child that lives for less than half a second may be missed.
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
            now_bytes = sum(_resident_bytes(pid) for pid in _tree(self._pid))
            self.peak_bytes = max(self.peak_bytes, now_bytes)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))
    except OSError:
        return  # the process has ended


def _resident_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    sizes = (line.split()[1] for line in text.splitlines() if line.startswith("Pss:"))
    return 1024 * int(next(sizes, 0))

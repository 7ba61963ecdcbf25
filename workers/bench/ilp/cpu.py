"""Processor seconds that this process and all below it have used, those that have ended included."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path


def tree_cpu_s() -> float:
    """Seconds of this process, its living descendants, and those that were waited for."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        time.process_time()
        + ended.ru_utime
        + ended.ru_stime
        + sum(_cpu_s(pid) for pid in _below(os.getpid()))
    )


def _below(pid: int) -> list[int]:
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *_below(child)]
    except OSError:
        pass  # it ended
    return found


def _cpu_s(pid: int) -> float:
    try:
        return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    except OSError:
        return 0.0  # it ended

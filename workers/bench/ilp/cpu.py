"""Processor time of this process and all its descendants, ended ones included."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path


def tree_cpu_s() -> float:
    """Return the seconds of this process, its living descendants and those waited for."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        time.process_time()
        + ended.ru_utime
        + ended.ru_stime
        + sum(_cpu_s(pid) for pid in _descendants(os.getpid()))
    )


def _descendants(pid: int) -> list[int]:
    pids = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                pids += [child, *_descendants(child)]
    except OSError:
        pass  # the process has ended
    return pids


def _cpu_s(pid: int) -> float:
    try:
        return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    except OSError:
        return 0.0  # the process has ended

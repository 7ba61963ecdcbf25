"""Cores this process may use, and how many of them other processes leave to it."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterable
from pathlib import Path

_CGROUP_2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_1 = Path("/sys/fs/cgroup/cpu")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_IDLE_FIELDS = (3, 4)  # of a line of /proc/stat: idle and waiting for a disk
_GUEST_FIELDS = 8  # from here on: time that the fields before hold already


def usable_cores() -> float:
    """Cores by processor affinity and by the quota of the control group; at least a tenth of one."""
    return max(0.1, min(float(len(os.sched_getaffinity(0))), _quota()))


def _quota() -> float:
    try:
        if _CGROUP_2.is_file():
            return parse_quota(_CGROUP_2.read_text())
        quota = (_CGROUP_1 / "cpu.cfs_quota_us").read_text()
        return parse_quota(
            f"{quota.strip()} {(_CGROUP_1 / 'cpu.cfs_period_us').read_text()}"
        )
    except (OSError, ValueError):
        return float("inf")


def parse_quota(text: str) -> float:
    """Cores of a line `quota period` in microseconds; infinity for `max`, -1 and what is no such line."""
    words = text.split()
    if len(words) != 2 or words[0] == "max" or int(words[0]) <= 0 or int(words[1]) <= 0:
        return float("inf")
    return int(words[0]) / int(words[1])


def process_cpu_s(pid: int) -> float:
    """Processor seconds of another process, all its threads; 0 when it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    except OSError:
        return 0.0


def own_cpu_s(children: Iterable[float]) -> float:
    """Processor seconds of this process, of the children it has waited for, and of `children` still alive."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(children)


def busy_s() -> float | None:
    """Seconds that the processors of our affinity have been busy since boot; None where /proc/stat does not say."""
    try:
        return parse_busy(Path("/proc/stat").read_text(), os.sched_getaffinity(0))
    except (OSError, ValueError):
        return None


def parse_busy(text: str, processors: Iterable[int]) -> float | None:
    """Busy seconds of `processors` by the text of /proc/stat; None when it has not one of them."""
    wanted = {f"cpu{number}" for number in processors}
    ticks, seen = 0, 0
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name in wanted:
            fields = [int(word) for word in rest.split()[:_GUEST_FIELDS]]
            ticks += sum(fields) - sum(fields[i] for i in _IDLE_FIELDS if i < len(fields))
            seen += 1
    return ticks / _TICKS_A_SECOND if seen and ticks else None


def running_processes() -> int | None:
    """Threads of the machine that run or want to, this one included; None where /proc/loadavg does not say."""
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) or None
    except (OSError, ValueError, IndexError):
        return None


class RoomMeter:
    """Cores that other processes leave free for this run, whether it uses them or not."""

    def __init__(
        self,
        own_s: Callable[[], float],  # processor seconds of the run so far
        *,
        cores: float | None = None,
        busy: Callable[[], float | None] = busy_s,
        clock: Callable[[], float] = time.monotonic,
        window_s: float = 0.25,
    ) -> None:
        self._own_s, self._busy, self._clock, self._window_s = own_s, busy, clock, window_s
        self._cores = usable_cores() if cores is None else cores
        self._processors = float(len(os.sched_getaffinity(0))) if cores is None else cores
        self._at, self._was_busy, self._was_own = clock(), busy(), own_s()

    def look(self) -> float | None:
        """Cores over the last window; None while it is not over, and where the machine does not say."""
        now = self._clock()
        wall_s = now - self._at
        if wall_s < self._window_s:
            return None
        busy, own = self._busy(), self._own_s()
        before, was_own = self._was_busy, self._was_own
        self._at, self._was_busy, self._was_own = now, busy, own
        if busy is None or before is None:
            return None
        others = max(0.0, (busy - before) - (own - was_own)) / wall_s
        return max(0.0, min(self._cores, self._processors - others))

"""Processor cores this process may use, and the share that other processes leave free."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterable
from pathlib import Path

_CGROUP_2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_1 = Path("/sys/fs/cgroup/cpu")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# Fields of a `cpu` line of /proc/stat (proc_stat(5)): idle and iowait; from the ninth on, guest
# time, which the first fields already include.
_IDLE_FIELDS = (3, 4)
_GUEST_FIELDS = 8


def usable_cores() -> float:
    """Return the cores allowed by affinity and by the control group's quota; at least 0.1."""
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
    """Return the cores that a line `quota period` (microseconds) allows.

    Infinity for `max`, for -1 and for text that is not such a line.
    """
    words = text.split()
    if len(words) != 2 or words[0] == "max" or int(words[0]) <= 0 or int(words[1]) <= 0:
        return float("inf")
    return int(words[0]) / int(words[1])


def process_cpu_s(pid: int) -> float:
    """Return the processor seconds of another process with all its threads; 0 when it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    except OSError:
        return 0.0


def own_cpu_s(children: Iterable[float]) -> float:
    """Return the processor seconds of this process and its children.

    children: processor seconds of the children still alive; those it has waited for are included.
    """
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(children)


def busy_s() -> float | None:
    """Return the busy seconds since boot of the processors this process may use.

    None where /proc/stat does not say.
    """
    try:
        return parse_busy(Path("/proc/stat").read_text(), os.sched_getaffinity(0))
    except (OSError, ValueError):
        return None


def parse_busy(text: str, processors: Iterable[int]) -> float | None:
    """Return the busy seconds of `processors` from the text of /proc/stat; None without a line."""
    names = {f"cpu{number}" for number in processors}
    ticks, seen = 0, 0
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name in names:
            fields = [int(word) for word in rest.split()[:_GUEST_FIELDS]]
            ticks += sum(fields) - sum(fields[i] for i in _IDLE_FIELDS if i < len(fields))
            seen += 1
    return ticks / _TICKS_A_SECOND if seen and ticks else None


def running_processes() -> int | None:
    """Return the number of runnable threads of the machine, this one included.

    None where /proc/loadavg does not say.
    """
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) or None
    except (OSError, ValueError, IndexError):
        return None


class RoomMeter:
    """Measures the cores that other processes leave free for this run, used by it or not."""

    def __init__(
        self,
        own_s: Callable[[], float],
        *,
        cores: float | None = None,
        busy: Callable[[], float | None] = busy_s,
        clock: Callable[[], float] = time.monotonic,
        window_s: float = 0.25,
    ) -> None:
        """Begin the first window.

        own_s: returns the processor seconds of the run so far.
        cores: cores the run may use; measured by default.
        busy: returns the busy seconds of these cores since boot, None when unknown.
        """
        self._own_s, self._busy, self._clock, self._window_s = (
            own_s,
            busy,
            clock,
            window_s,
        )
        self._cores = usable_cores() if cores is None else cores
        self._processors = float(len(os.sched_getaffinity(0))) if cores is None else cores
        self._at, self._was_busy, self._was_own = clock(), busy(), own_s()

    def look(self) -> float | None:
        """Return the free cores over the last window; None before its end or when unknown."""
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

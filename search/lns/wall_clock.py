"""Limits in processor time, for solvers that only measure wall-clock time.

On a busy machine, or paused now and then, this process gets a part of a core. A sub-MIP limited to
0.3 s of wall-clock time would be cut off before it has begun, and sizes would shrink until sub-MIPs
are useless. So the search measures its own processor time, and a solver gets the wall-clock time
that this takes at present.
"""

from __future__ import annotations

_DECAY = 0.7  # weight of the earlier measurements at each new one
_LEAST_CPU_S = 0.02  # weight of the initial ratio of 1, in processor seconds
_MOST = 40.0


class WallClockRatio:
    """Wall-clock over processor time of the latest solves; 1 when the process has a core."""

    def __init__(self) -> None:
        self._wall_s = self._cpu_s = _LEAST_CPU_S

    @property
    def ratio(self) -> float:
        """The ratio, at least 1."""
        return min(_MOST, max(1.0, self._wall_s / self._cpu_s))

    def record(self, *, wall_s: float, cpu_s: float) -> None:
        """Record a solve that took `wall_s` and used `cpu_s` of a core."""
        self._wall_s = _DECAY * self._wall_s + wall_s
        self._cpu_s = _DECAY * self._cpu_s + max(0.0, cpu_s) + 1e-6

    def wall_s(self, cpu_s: float) -> float:
        """Return the wall-clock seconds that `cpu_s` of processor time are likely to take."""
        return self.ratio * cpu_s

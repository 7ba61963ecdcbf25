"""Limits in processor time, for solvers that only know the wall clock.

On a busy machine, or paused now and then, this process gets a part of a core. A sub-MIP that may take 0.3 s of wall clock
would then be cut off before it has begun, and its size would shrink until it is of no use. So the search counts its own
processor time, and a solver gets the wall clock that such a time takes at present.
"""

from __future__ import annotations

_FADE = 0.7  # of what was measured before, at each new measurement
_LEAST_CPU_S = 0.02  # that measurements are trusted with from the start, at a ratio of 1
_MOST = 40.0


class WallClockRatio:
    """Wall clock over processor time of the latest solves; 1 when the process has a core to itself."""

    def __init__(self) -> None:
        self._wall_s = self._cpu_s = _LEAST_CPU_S

    @property
    def ratio(self) -> float:
        """At least 1."""
        return min(_MOST, max(1.0, self._wall_s / self._cpu_s))

    def note(self, *, wall_s: float, cpu_s: float) -> None:
        """Take a solve into account: it took `wall_s`, and used `cpu_s` of a core."""
        self._wall_s = _FADE * self._wall_s + wall_s
        self._cpu_s = _FADE * self._cpu_s + max(0.0, cpu_s) + 1e-6

    def wall_s(self, cpu_s: float) -> float:
        """Seconds of wall clock that `cpu_s` of processor time are likely to take."""
        return self.ratio * cpu_s

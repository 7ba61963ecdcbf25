"""CPU time of this process and of the children that it has waited for."""

from __future__ import annotations

import resource


def cpu_seconds() -> float:
    """Return user and system time of all threads of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class CpuClock:
    """Stop-watch of CPU time."""

    def __init__(self) -> None:
        self._began = cpu_seconds()

    def seconds(self) -> float:
        """Return CPU seconds since it was made."""
        return cpu_seconds() - self._began

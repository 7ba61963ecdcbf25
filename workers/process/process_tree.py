"""Find and kill every process of a run.

A child starts with its run folder in its environment (`RUN_FOLDER`), and every process that it
forks inherits that, also one that left the session or outlived its parent. Only a process that
replaced its environment on purpose escapes: bubblewrap's process namespace contains those, the
level `rlimit` does not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

MARK = "RUN_FOLDER"


def of_run(workdir: Path) -> list[int]:
    """Return the pids of this user's processes that were started in this run, without zombies."""
    mark = f"{MARK}={workdir}".encode()
    user = os.geteuid()
    pids = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        # A process may end between any two lines, and another user's cannot be read.
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid != user:
                continue
            if mark in Path("/proc", name, "environ").read_bytes().split(b"\0"):
                pids.append(int(name))
    return pids


def waited_s(workdir: Path) -> float:
    """Return the longest time that a process of a run was ready but had no processor, seconds.

    0 where the kernel keeps no such count.
    """
    waited = [0.0]
    for pid in of_run(workdir):
        with contextlib.suppress(OSError, ValueError, IndexError):
            counts = Path("/proc", str(pid), "schedstat").read_text().split()
            waited.append(int(counts[1]) * 1e-9)
    return max(waited)


def kill_run(workdir: Path, *, patience_s: float = 2.0) -> list[int]:
    """Send SIGKILL to all processes of a run until none is left.

    Returns those that are left after `patience_s` seconds (in an uninterruptible call).
    """
    deadline = time.monotonic() + patience_s
    pause_s = 0.001
    while left := of_run(workdir):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            break
        time.sleep(pause_s)
        pause_s = min(0.05, 2 * pause_s)
    return left


def owner_of(folder: str, prefix: str) -> tuple[int, int] | None:
    """Return (pid, start time) of the host that made a run folder; None for another name."""
    parts = folder.removeprefix(prefix).split("-")
    if len(parts) == 3 and parts[0].isdigit() and parts[1].isdigit():
        return int(parts[0]), int(parts[1])
    return None


def started_at(pid: int) -> int | None:
    """Return a process's start time in clock ticks since boot; None when there is no process.

    Together with the pid it identifies a process, because pids are reused.
    """
    try:
        stat = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return None
    # Field 22; the name in parentheses, field 2, may contain any character.
    return int(stat.rpartition(")")[2].split()[19])

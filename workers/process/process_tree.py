"""Which processes of this machine belong to a run, and to end them all.

Every child starts with its run folder in its environment (`RUN_FOLDER`), and the kernel keeps that of each process it forks,
also when that one left the session, or its parent died before it. Only a process that replaced its environment escapes, and
that takes intent: bubblewrap's process namespace holds those, the level `rlimit` does not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

MARK = "RUN_FOLDER"


def of_run(workdir: Path) -> list[int]:
    """Processes, of our user, that were started in this run. A zombie is none: it holds nothing any more."""
    mark = f"{MARK}={workdir}".encode()
    mine = os.geteuid()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        # A process may end between any two lines, and another user's cannot be read: neither is ours to end.
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid == mine and mark in Path(
                "/proc", name, "environ"
            ).read_bytes().split(b"\0"):
                found.append(int(name))
    return found


def kill_run(workdir: Path, *, patience_s: float = 2.0) -> list[int]:
    """SIGKILL to all of a run until none is left; returns those that would not go (in an uninterruptible call)."""
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
    """(pid, start time) of the host that made a run folder; None when its name does not say."""
    parts = folder.removeprefix(prefix).split("-")
    return (
        (int(parts[0]), int(parts[1]))
        if len(parts) == 3 and parts[0].isdigit() and parts[1].isdigit()
        else None
    )


def started_at(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: with its pid it names a process for good. None: there is none."""
    try:
        stat = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return None
    return int(
        stat.rpartition(")")[2].split()[19]
    )  # field 22; the name in parentheses may hold anything

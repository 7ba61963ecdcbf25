"""First steps of every child: drop privileges, and take the socket that is its stdin."""

from __future__ import annotations

import os
import resource
import socket
import sys
from collections.abc import Iterable

from search.isolation import die_with_parent
from solvers import privileges
from workers.process.frames import Channel
from workers.process.sandbox import READABLE, WRITABLE


def confine(workdir: str, *, protect: str, network: bool = False) -> Channel:
    """Give up files, sockets and capabilities before any input is read; return the channel.

    protect: Protections that the host counts on, comma-separated: files, network. Exits when one
    does not hold.
    """
    # Needed also while the child is paused, or its main thread is stuck in native code.
    die_with_parent()
    required = set(filter(None, protect.split(",")))
    protected = privileges.drop(
        readable=(
            *privileges.SYSTEM_FOLDERS,
            *privileges.SYSTEM_FACTS,
            *_listed(READABLE),
        ),
        writable=(workdir, *_listed(WRITABLE)),
        network=network,
    )
    if missing := sorted(name for name in required if not protected[name]):
        sys.exit(
            f"sandbox: expected {', '.join(missing)} to be protected in this child, got no "
            "protection; it does not start"
        )
    return _take_over_stdin()


def set_limits(limits: Iterable[tuple[int, int, int]]) -> None:
    """Set resource limits (which, soft, hard), never above those inherited."""
    for which, soft, hard in limits:
        _, inherited = resource.getrlimit(which)
        if inherited != resource.RLIM_INFINITY:
            soft, hard = min(soft, inherited), min(hard, inherited)
        resource.setrlimit(which, (soft, hard))


def _listed(variable: str) -> list[str]:
    return [path for path in os.environ.pop(variable, "").split(os.pathsep) if path]


def _take_over_stdin() -> Channel:
    # Native code must see an ordinary, empty stdin, not our socket.
    sock = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return Channel(sock)

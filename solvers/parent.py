"""Processes that end when the process that started them ends, in whatever way."""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: a child of several threads must not load it.
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int, signal_number: int) -> None:
    """Ask the kernel for a signal when the parent ends; exit at once when it has ended already.

    To be called in the child. The kernel watches the thread that forked: it has to wait for the
    child. Without effect on systems other than Linux.
    """
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)

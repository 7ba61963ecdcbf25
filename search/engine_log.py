"""The log of a run: what its engines print.

An engine prints to standard output, which the host of a worker's child shows to those who watch.
Elsewhere, in a benchmark or a test, engines are silent: only a child switches the log on.
"""

from __future__ import annotations

import os

_STDOUT = 1


class _Switch:
    on = False


def switch_on() -> None:
    """Let the engines of this process, and of those it forks, print."""
    _Switch.on = True


def is_on() -> bool:
    """Return True where an engine prints its log: `SolveParams.log`."""
    return _Switch.on


def write(output: bytes) -> None:
    """Print output that an engine wrote elsewhere, for example into a file."""
    while _Switch.on and output:
        output = output[os.write(_STDOUT, output) :]

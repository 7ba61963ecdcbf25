"""Process primitives of the engine's server and its children."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from solvers.parent import die_with_parent


def spawn(command: Sequence[str]) -> int:
    """Start a program that dies with this process and inherits limits and stderr; return its id."""
    here = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        die_with_parent(here, 9)
        os.execve(command[0], list(command), {"LC_ALL": "C"})  # noqa: S606 - no shell
    finally:
        os._exit(127)


@contextlib.contextmanager
def stderr_captured() -> Iterator[bytearray]:
    """Collect what the library writes to stderr, at most 64 KiB; filled when the block ends.

    In the server and in its children stderr is a file that can be read, so that nothing is lost
    when the process ends inside the block.
    """
    text, start = bytearray(), os.lseek(2, 0, os.SEEK_END)
    try:
        yield text
    finally:
        text += os.pread(2, 1 << 16, start)

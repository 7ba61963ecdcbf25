"""Run a command as on a kernel without Landlock.

Usage: `python -m tests.cases.service.without_landlock COMMAND...`. A seccomp filter answers
ENOSYS to landlock_create_ruleset, as an old kernel or the filter of a container does.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

_CREATE_RULESET = 444  # on every architecture


def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    lines = [
        (0x20, 0, 0, 0),  # load the number of the system call
        (0x15, 0, 1, _CREATE_RULESET),
        (0x06, 0, 0, 0x00050000 | errno.ENOSYS),
        (0x06, 0, 0, 0x7FFF0000),
    ]
    program = ctypes.create_string_buffer(
        b"".join(struct.pack("=HBBI", *line) for line in lines)
    )
    described = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(program))
    libc.prctl(38, 1, 0, 0, 0)
    if libc.prctl(22, 2, described, 0, 0) != 0:
        sys.exit("cannot install the filter")
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()

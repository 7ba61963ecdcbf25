"""Privileges that a process drops before it reads untrusted input.

`drop(...)` takes from this process and from all processes that it starts later:

- capabilities, also those of user 0;
- files (Landlock, since Linux 5.13): only the folders passed can be opened. Other processes cannot
  be traced either, nor their memory, environment or open files be read through /proc;
- sockets (seccomp): no new socket of any family. Open ones stay open, and socketpair(2) of the
  connected types still works. io_uring, which opens sockets without a system call of its own, is
  refused too.

Each is applied as far as the kernel permits and reported. Run as a file, `python -I -S
privileges.py CANARY`, it drops its own privileges and reports whether that file and sockets are out
of reach. It imports only the standard library and starts in milliseconds: `solvers.llvm.confine`
runs without packages.

Sources: Linux Documentation/userspace-api/landlock.rst and seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

TYPE_CHECKING = False  # `typing` and `collections` would double the start-up time
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Files that a dynamically linked program, an interpreter, a compiler or a linker reads; none of a
# user.
SYSTEM_FOLDERS = (
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/alternatives",
)
# Libraries count cores and read their own maps there. The kernel guards /proc: see above.
SYSTEM_FACTS = ("/proc", "/sys/devices/system", "/sys/fs/cgroup")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = (
    22,
    24,
    28,
    38,
)
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_NO_ROOT_LOCKED = 0b11  # SECBIT_NOROOT and its lock: user 0 gains no capability by execve
_CAPABILITY_VERSION = 0x20080522

# landlock_create_ruleset, landlock_add_rule, landlock_restrict_self: the same numbers on every
# architecture
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_FS_EXECUTE, _FS_WRITE, _FS_READ, _FS_READ_DIR, _FS_TRUNCATE, _FS_IOCTL = (
    1,
    2,
    4,
    8,
    1 << 14,
    1 << 15,
)
_OF_A_FILE = _FS_EXECUTE | _FS_WRITE | _FS_READ | _FS_TRUNCATE | _FS_IOCTL
# By ABI; from 5 on 16 rights.
_FS_ALL = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_TCP = 0b11  # bind and connect
_SCOPES = 0b11  # abstract sockets, and signals to processes outside

# System calls by architecture of the caller (AUDIT_ARCH_*): socket, socketpair, socketcall (0:
# none).
_CALLS = {
    0xC000003E: (41, 53, 0),  # x86-64
    0x40000003: (359, 360, 102),  # i386
    0xC00000B7: (198, 199, 0),  # AArch64
    0x40000028: (281, 288, 102),  # Arm
    0xC00000F3: (198, 199, 0),  # RISC-V, 64 bits
    0xC0000015: (326, 333, 102),  # POWER, little endian
    0x80000016: (359, 360, 102),  # s390x
}
_MACHINES = ("x86_64", "aarch64", "riscv64", "ppc64le", "s390x")
_IO_URING_SETUP = 425  # everywhere
_X32 = 0x40000000  # from here on: system calls of the x32 ABI
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_STREAM, _SEQPACKET = 1, 5

_libc = ctypes.CDLL(None, use_errno=True)


def drop(
    *,
    readable: Iterable[str | os.PathLike[str]],
    writable: Iterable[str | os.PathLike[str]],
    network: bool = False,
) -> dict[str, bool]:
    """Drop all privileges. Return which restrictions hold, `files` and `network`.

    `network` keeps sockets. Paths that do not exist are ignored. Landlock and seccomp bind the
    calling thread and its children: with other threads in this process, no restriction is
    reported to hold.
    """
    alone = len(os.listdir("/proc/self/task")) == 1
    drop_capabilities()
    restricted = restrict_files(readable=readable, writable=writable, network=network)
    return {
        "files": restricted and alone,
        "network": not network and refuse_sockets() and alone,
    }


def drop_capabilities() -> None:
    """Drop every capability, and the ways to regain one."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    _libc.prctl(_PR_SET_SECUREBITS, _NO_ROOT_LOCKED, 0, 0, 0)
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    _libc.capset(
        struct.pack("=II", _CAPABILITY_VERSION, 0), struct.pack("=6I", *(0,) * 6)
    )


def landlock_abi() -> int:
    """Return the version of Landlock in this kernel; 0 without it."""
    return max(
        0,
        int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))),
    )


def restrict_files(
    *,
    readable: Iterable[str | os.PathLike[str]],
    writable: Iterable[str | os.PathLike[str]],
    network: bool = False,
) -> bool:
    """Restrict opening of files to these paths and folders, and TCP, by Landlock.

    `network` leaves TCP alone. Return False where the kernel has no Landlock.
    """
    abi = landlock_abi()
    if abi < 1:
        return False
    rights = _FS_ALL.get(abi, (1 << 16) - 1)
    tcp = 0 if network else _TCP
    words = [rights, *([tcp] if abi >= 4 else []), *([_SCOPES] if abi >= 6 else [])]
    attributes = (ctypes.c_uint64 * len(words))(*words)
    ruleset = int(
        _libc.syscall(
            _CREATE_RULESET,
            attributes,
            ctypes.c_size_t(8 * len(words)),
            ctypes.c_uint32(0),
        )
    )
    if ruleset < 0:
        return False
    read = _FS_EXECUTE | _FS_READ | _FS_READ_DIR
    rules = [(os.fspath(path), read) for path in readable] + [
        (os.fspath(path), rights) for path in writable
    ]
    for path, allowed in rules + [(path, _FS_READ | _FS_WRITE) for path in _DEVICES]:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # a system has only some of the folders of libraries
        if not os.path.isdir(path):
            allowed &= _OF_A_FILE
        rule = (allowed & rights).to_bytes(8, sys.byteorder) + descriptor.to_bytes(
            4, sys.byteorder
        )
        _libc.syscall(
            _ADD_RULE,
            ctypes.c_int(ruleset),
            ctypes.c_int(1),
            ctypes.c_char_p(rule),
            ctypes.c_uint32(0),
        )
        os.close(descriptor)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    restricted = (
        int(_libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))) == 0
    )
    os.close(ruleset)
    return restricted


def refuse_sockets() -> bool:
    """Make socket(2) fail with EACCES from now on, by seccomp.

    Return False where the kernel or the architecture of this machine has no filter.
    """
    if os.uname().machine not in _MACHINES:
        return False
    program = b"".join(struct.pack("=HBBI", *line) for line in _filter())
    buffer = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    described = Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return int(_libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(described), 0, 0)) == 0


def _filter() -> Sequence[tuple[int, int, int, int]]:
    """Return the filter in classic BPF, one block per architecture.

    Each line is (code, jump if true, jump if false, value).
    """
    load, and_, equal, at_least, answer = 0x20, 0x54, 0x15, 0x35, 0x06
    refuse, absent = (
        (answer, 0, 0, _REFUSE | errno.EACCES),
        (answer, 0, 0, _REFUSE | errno.ENOSYS),
    )
    low = 24 if sys.byteorder == "little" else 28  # lower half of the second argument
    lines: list[tuple[int, int, int, int]] = [(load, 0, 0, 4)]
    for architecture, (socket_, pair, call) in _CALLS.items():
        block = [
            (load, 0, 0, 0),
            (equal, 0, 1, socket_),
            refuse,
            (equal, 0, 1, call or socket_),
            refuse,
            (equal, 0, 1, _IO_URING_SETUP),
            absent,
            *([(at_least, 0, 1, _X32), absent] if architecture == 0xC000003E else []),
            (equal, 1, 0, pair),
            (answer, 0, 0, _ALLOW),
            (load, 0, 0, low),
            (and_, 0, 0, 0xF),  # the type without its flags
            (equal, 1, 0, _STREAM),
            (equal, 0, 1, _SEQPACKET),
            (answer, 0, 0, _ALLOW),
            refuse,  # a datagram socket of a pair can still be connected elsewhere
        ]
        lines += [(equal, 0, len(block), architecture), *block]
    return [*lines, absent]


def _try(canary: str) -> dict[str, bool]:
    """Drop privileges, then try what must fail."""
    # Here, because both take milliseconds that other users need not pay.
    import contextlib
    import socket

    drop(
        readable=(*SYSTEM_FOLDERS, *SYSTEM_FACTS, sys.prefix, sys.base_prefix),
        writable=(),
    )
    try:
        with open(canary) as file:
            file.read(1)
        files = False
    except OSError:
        files = True
    opened = 0
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        with contextlib.suppress(OSError):
            socket.socket(family, socket.SOCK_DGRAM).close()
            opened += 1
    return {"files": files, "network": not opened}


if __name__ == "__main__":
    import json

    print(json.dumps(_try(sys.argv[1])))

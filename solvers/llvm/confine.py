"""Start one program under limits, without network, with the files of its order alone.

Run as a file, `python -I -S confine.py ORDER ROOT`, so that it starts in milliseconds and imports
only `solvers.privileges` of ours. `confined.py` is its client and writes the order (JSON). What is
restricted, each as far as the kernel lets an ordinary user:

- network and processes: own user, network and process namespaces (unshare(2)). The program's
  ancestor is process 1 of the process namespace, so the kernel ends all of it together, also what
  left the session or forked twice. Where namespaces are not allowed, this process adopts orphans
  (PR_SET_CHILD_SUBREAPER) and kills what is left.
- files, sockets and capabilities: `solvers.privileges`. Nothing outside the folders of the order
  can be opened.
- limits: address space, processor time, size of a file, open files, no core dump; processes too,
  unless we are root (whom the kernel exempts).

The last line on the report's descriptor says which restrictions held and how the program ended.
"""

from __future__ import annotations

import _json
import _signal  # type: ignore[import-not-found]
import ctypes
import math
import os
import resource
import sys
import time

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])  # -I leaves the packages' folder out

from solvers import privileges

# `json`, `signal`, `contextlib` and `typing` import `re`, `enum` and `collections`: half of the
# start-up time, which every tool and every run of a job pays.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_NEWUSER, _NEWPID, _NEWNET, _NEWIPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_NO_RANDOM_ADDRESSES = 0x0040000  # personality(2): printed addresses repeat between runs

_libc = ctypes.CDLL(None, use_errno=True)


def _isolate() -> dict[str, bool]:
    """Enter the namespaces, all or none; return which restrictions hold."""
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(_NEWUSER | _NEWPID | _NEWNET | _NEWIPC) != 0:
        return {"network": False, "processes": False}
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        except OSError:
            continue
    return {"network": True, "processes": True}


def _limit(order: dict[str, Any]) -> None:
    def lower(what: int, limit: int) -> None:
        hard = resource.getrlimit(what)[1]
        value = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (value, value))

    lower(resource.RLIMIT_AS, order["memory_bytes"])
    lower(resource.RLIMIT_CPU, math.ceil(order["cpu_s"]) + 1)
    lower(resource.RLIMIT_FSIZE, order["file_bytes"])
    lower(resource.RLIMIT_NOFILE, order["open_files"])
    lower(resource.RLIMIT_CORE, 0)


def _become_the_program(
    order: dict[str, Any], held: dict[str, bool], report: int
) -> NoReturn:
    """Apply the restrictions in the last child, report which hold, and exec."""
    try:
        os.setsid()
        _libc.prctl(_PR_SET_PDEATHSIG, _signal.SIGKILL, 0, 0, 0)
        _libc.personality(ctypes.c_ulong(_NO_RANDOM_ADDRESSES))
        for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGPIPE, _signal.SIGXFSZ):
            # Python ignores the last two, and exec keeps that.
            _signal.signal(number, _signal.SIG_DFL)
        privileges.drop_capabilities()
        _limit(order)
        if held["processes"]:
            resource.setrlimit(
                resource.RLIMIT_NPROC, (order["processes"], order["processes"])
            )
        held["files"] = privileges.restrict_files(
            readable=order["readable"], writable=order["writable"]
        )
        held["network"] |= privileges.refuse_sockets()
        facts = ", ".join(f'"{name}": {str(held[name]).lower()}' for name in held)
        os.write(report, f'{{"held": {{{facts}}}}}\n'.encode())
        command = order["command"]
        words = [order.get("name") or command[0], *command[1:]]
        os.execve(command[0], words, order["environment"])  # noqa: S606 - no shell
    except BaseException as error:
        text = _json.encode_basestring_ascii(f"{type(error).__name__}: {error}")
        os.write(report, f'{{"failed": {text}}}\n'.encode())
    os._exit(127)


def _children() -> list[int]:
    """Return the direct children of this process, adopted orphans of the program among them."""
    mine, children = os.getpid(), []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                if int(file.read().rpartition(")")[2].split()[1]) == mine:
                    children.append(int(name))
        except (OSError, ValueError, IndexError):
            continue
    return children


def _kill_all_left() -> None:
    """Kill children until none is left: each kill may make us the parent of its children."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for pid in _children():
            try:
                os.kill(pid, _signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


def _run(order: dict[str, Any], held: dict[str, bool], report: int) -> NoReturn:
    """Start the program, reap what ends, report how the program ended, leave nothing behind."""
    program = os.fork()
    if program == 0:
        _become_the_program(order, held, report)
    while True:
        pid, status, usage = os.wait4(-1, 0)
        if pid == program:
            break
    if not held["processes"]:
        _kill_all_left()
    code, cpu_s = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
    end = (
        f'"status": {code}, "cpu_s": {cpu_s:.6f}, "peak_bytes": {1024 * usage.ru_maxrss}'
    )
    os.write(report, f"{{{end}}}\n".encode())
    os._exit(0)


class _Json:
    """Settings of the scanner behind `json.loads`."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner fills it


def main() -> NoReturn:
    """Supervise the program. SIGTERM ends everything at once."""
    order, _ = _json.make_scanner(_Json)(sys.argv[1], 0)  # type: ignore[arg-type]
    report = int(order["report"])
    os.set_inheritable(report, False)  # the program must not write it
    _libc.prctl(_PR_SET_PDEATHSIG, _signal.SIGKILL, 0, 0, 0)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    held = _isolate()
    if not held["processes"]:

        def stop(_number: int, _frame: object) -> None:
            _kill_all_left()
            os._exit(1)

        _signal.signal(_signal.SIGTERM, stop)
        _run(order, held, report)
    first = os.fork()  # process 1 of the namespace
    if first == 0:
        _libc.prctl(_PR_SET_PDEATHSIG, _signal.SIGKILL, 0, 0, 0)
        _run(order, held, report)

    def stop_all(_number: int, _frame: object) -> None:
        # The kernel ends the namespace before waitpid returns.
        os.kill(first, _signal.SIGKILL)

    _signal.signal(_signal.SIGTERM, stop_all)
    os.waitpid(first, 0)
    os._exit(0)


if __name__ == "__main__":
    main()

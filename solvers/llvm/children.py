"""Run candidates in forked children of the server, each with its own limits and deadline."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import select
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from solvers.parent import die_with_parent

STDERR_BYTES = 1 << 20  # of stderr, per process
_ANSWER_BYTES = 256 << 20
_DETAIL = 2000
_OUT_OF_MEMORY = re.compile(
    r"out of memory|bad_alloc|Cannot allocate memory|MemoryError|allocation failed",
    re.IGNORECASE,
)
_MEMORY_EXIT, _ERROR_EXIT = 71, 70
BUSY = 5.0  # times its processor seconds that a candidate may take by the clock
_LEAST_S = 0.1  # between two looks at a late child

# A job sends replies through its argument, each one line of JSON. It may write files.
Job = Callable[[Callable[[dict[str, Any]], None]], None]


class Child:
    """A forked child. `answers` fills while it runs; `outcome` reports how it ended."""

    def __init__(
        self,
        job: Job,
        *,
        seconds: float,
        memory_bytes: int,
        wall_s: float | None = None,
        close: tuple[int, ...] = (),
    ) -> None:
        """Start the job.

        seconds: of the processor.
        wall_s: the most by the clock; None: `seconds`.
        """
        self.started = time.monotonic()
        self._seconds = seconds
        self._end = self.started + (seconds if wall_s is None else wall_s)
        # When to look at the limits next.
        self.deadline = min(self.started + seconds, self._end)
        self.ended_at = self.started
        self.answers: list[dict[str, Any]] = []
        self._rest, self._timed_out, self._status = b"", False, 0
        self._stderr = os.memfd_create("stderr")
        self.pipe, write = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _run_job(
                job,
                write,
                self._stderr,
                parent,
                seconds,
                memory_bytes,
                (self.pipe, *close),
            )
        os.close(write)

    def read(self) -> bool:
        """Read what the child wrote; True when it has ended and closed its end of the pipe."""
        data = os.read(self.pipe, 1 << 20)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                self.answers.append(json.loads(line))
        if not data or len(self._rest) > _ANSWER_BYTES:
            self._reap(kill=bool(data))
            return True
        return False

    def overdue(self) -> bool:
        """Return whether a limit is exceeded; otherwise set the next deadline.

        On a busy machine a child gets a part of a core: it is late by the clock, but does not hang.
        """
        now = time.monotonic()
        if now < self.deadline:
            return False
        left = self._seconds - _processor_s(self.pid)
        if left <= 0 or now >= self._end:
            return True
        self.deadline = min(self._end, now + max(left, _LEAST_S))
        return False

    def kill(self, *, timed_out: bool = False) -> None:
        """Kill the child and wait for its end."""
        self._timed_out = timed_out
        self._reap(kill=True)

    def _reap(self, *, kill: bool) -> None:
        if kill:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._status = os.waitpid(self.pid, 0)[1]
        self.ended_at = time.monotonic()
        os.close(self.pipe)

    def outcome(self) -> tuple[str, str]:
        """Return (outcome, detail); outcome is ok, timeout, memory or crashed.

        Call it once, after the child's end.
        """
        stderr = os.pread(self._stderr, STDERR_BYTES, 0).decode("utf-8", "replace")
        os.close(self._stderr)
        code = os.waitstatus_to_exitcode(self._status)
        seconds = self.ended_at - self.started
        if self._timed_out or code == -signal.SIGXCPU:
            return "timeout", f"ended after {seconds:.1f} s"
        if code == 0:
            return "ok", ""
        words = last_words(stderr)
        if code == _MEMORY_EXIT or _OUT_OF_MEMORY.search(stderr):
            return "memory", words or "memory limit reached"
        if code == -signal.SIGKILL:  # not by us: by the kernel, when memory is short
            return "memory", "killed by the system, most likely for lack of memory"
        how = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return "crashed", f"{how}: {words}"[:_DETAIL] if words else how


def _processor_s(pid: int) -> float:
    """Return the processor seconds of a process and of those of its children that have ended."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def last_words(stderr: str) -> str:
    """Return the lines that explain a crash: assertions and fatal errors, or else the last ones."""
    lines = [
        line
        for line in stderr.splitlines()
        if line.strip() and not line.startswith(("PLEASE submit", "Stack dump"))
    ]
    telling = [
        line
        for line in lines
        if "Assertion `" in line or "LLVM ERROR" in line or "UNREACHABLE" in line
    ]
    return "\n".join(telling or lines[-8:])[-_DETAIL:]


def run_all(
    jobs: Iterator[tuple[int, Job]],
    *,
    side_by_side: int,
    seconds: float,
    memory_bytes: int,
    stop: int,
    wall_s: float | None = None,
) -> Iterator[tuple[int, Child]]:
    """Run jobs, `side_by_side` at a time; yield each with its number when it has ended.

    Each has `seconds` of the processor, and `wall_s`, or else as many, by the clock.
    Ends early, with all children killed, when file `stop` (the client's pipe) becomes readable.
    """
    running: dict[int, tuple[int, Child]] = {}
    poll = select.poll()
    poll.register(stop, select.POLLIN)
    more = True
    try:
        while True:
            while more and len(running) < side_by_side:
                following = next(jobs, None)
                if following is None:
                    more = False
                    break
                child = Child(
                    following[1],
                    seconds=seconds,
                    wall_s=wall_s,
                    memory_bytes=memory_bytes,
                    close=(0, stop),
                )
                running[child.pipe] = (following[0], child)
                poll.register(child.pipe, select.POLLIN)
            if not running:
                return
            left = min(child.deadline for _, child in running.values()) - time.monotonic()
            events = poll.poll(max(0.0, left) * 1000)
            if any(file == stop for file, _ in events):
                return
            ready = {file for file, _ in events}
            for file, (number, child) in list(running.items()):
                # Before its end, which closes the pipe.
                poll.unregister(file)
                ended = file in ready and child.read()
                if not ended and child.overdue():
                    child.kill(timed_out=True)
                    ended = True
                if ended:
                    del running[file]
                    yield number, child
                else:
                    poll.register(file, select.POLLIN)
    finally:
        for _, child in running.values():
            child.kill()
            child.outcome()


def _run_job(
    job: Job,
    write: int,
    stderr: int,
    parent: int,
    seconds: float,
    memory_bytes: int,
    close: tuple[int, ...],
) -> None:
    """Run the job in the child, and exit."""
    code = _ERROR_EXIT
    try:
        die_with_parent(parent, signal.SIGKILL)
        for file in close:
            with contextlib.suppress(OSError):
                os.close(file)
        os.dup2(stderr, 2)
        os.dup2(stderr, 1)
        limit_processor_time(int(seconds) + 2)
        limit_memory(memory_bytes)

        def reply(answer: dict[str, Any]) -> None:
            line = json.dumps(answer).encode() + b"\n"
            while line:
                line = line[os.write(write, line) :]

        job(reply)
        code = 0
    except MemoryError:
        code = _MEMORY_EXIT
    except BaseException as error:  # any failure is reported to the parent
        os.write(
            2, f"{type(error).__name__}: {error}"[:_DETAIL].encode("utf-8", "replace")
        )
    finally:
        os._exit(code)


def limit_memory(more_bytes: int) -> None:
    """Limit the address space of this process to `more_bytes` beyond what it uses now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + more_bytes)


def limit_processor_time(seconds: int) -> None:
    """Limit the processor time of this process, which gets SIGXCPU and a second later SIGKILL."""
    last = _allowed(resource.RLIMIT_CPU, seconds + 1)
    resource.setrlimit(resource.RLIMIT_CPU, (last - 1, last))


def limit_files(byte_count: int) -> None:
    """Limit the files that this process writes to `byte_count` bytes; longer writes fail."""
    _limit(resource.RLIMIT_FSIZE, byte_count)


def _limit(what: int, value: int) -> None:
    """Set a soft limit, and leave the hard one."""
    resource.setrlimit(what, (_allowed(what, value), resource.getrlimit(what)[1]))


def _allowed(what: int, value: int) -> int:
    """Return the limit, or the process's hard one if that is lower."""
    hard = resource.getrlimit(what)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)

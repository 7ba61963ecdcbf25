"""Forked processes for native code on hostile input, which may crash, hang or hold the GIL.

The fork happens before this process has run any solver: solvers start threads at their first run,
and a fork does not copy threads. Where HiGHS ran before, `solvers.highs` lets it begin anew.
Messages come back as JSON lines over a pipe, arrays through .npy files in the run's work folder;
there is no pickle.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from search.cores import process_cpu_s

Message = dict[str, Any]
Say = Callable[[Message], None]

_PR_SET_PDEATHSIG = 1


class NativeCrash(Exception):
    """A forked process died by a signal."""

    def __init__(self, what: str, signal_number: int) -> None:
        self.what = what
        self.signal = signal.Signals(signal_number)
        super().__init__(f"{what} died by {self.signal.name}")


class NativeTimeout(Exception):
    """A forked process exceeded its time and was killed."""


class NativeError(Exception):
    """A forked process raised an exception. `kind` is its class name, `message` its text."""

    def __init__(self, what: str, kind: str, message: str, trace: str) -> None:
        self.what, self.kind, self.message, self.trace = what, kind, message, trace
        super().__init__(f"{what}: {kind}: {message}")


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class NativeProcess:
    """Runs `work(say)` in a forked process, where `say` sends a message to this one.

    The process ends when `work` returns or raises.
    """

    def __init__(self, what: str, work: Callable[[Say], None], *, nice: int = 0) -> None:
        """Fork and begin to work.

        what: name of the work in error messages.
        nice: increment of nice(2); on a busy processor each step lowers its share by a factor of
            about 1.25.
        """
        self.what = what
        self._nice = nice
        # From os.waitstatus_to_exitcode: negative: signal.
        self.exit_status: int | None = None
        self.error: NativeError | None = None
        self._buffer = b""
        self._paused = False
        self._cpu_s = 0.0
        sys.stdout.flush()
        sys.stderr.flush()
        self._read_fd, write_fd = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            self._in_fork(work, write_fd, parent)
        os.close(write_fd)
        os.set_blocking(self._read_fd, False)

    def _in_fork(self, work: Callable[[Say], None], write_fd: int, parent: int) -> None:
        #        # Nothing of the parent may run here: no atexit, no finally, no flushing of its
        # buffers.
        code = 70
        try:
            die_with_parent()
            if os.getppid() != parent:
                os._exit(71)
            os.close(self._read_fd)
            os.nice(self._nice)

            def say(message: Message) -> None:
                data = json.dumps(message).encode() + b"\n"
                while data:
                    data = data[os.write(write_fd, data) :]

            try:
                work(say)
                code = 0
            except BaseException as error:
                trace = traceback.format_exc()[-4000:]
                say(
                    {
                        "error": {
                            "kind": type(error).__name__,
                            "message": str(error)[:4000],
                            "trace": trace,
                        }
                    }
                )
        finally:
            os._exit(code)

    @property
    def alive(self) -> bool:
        """False once the process has ended and has been waited for."""
        if self.exit_status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_status = os.waitstatus_to_exitcode(status)
        return self.exit_status is None

    @property
    def cpu_s(self) -> float:
        """Processor seconds the process has used; after its end, the last measurement."""
        if self.alive:
            self._cpu_s = max(self._cpu_s, process_cpu_s(self.pid))
        return self._cpu_s

    def pause(self) -> None:
        """Suspend the process until `resume`."""
        self._signal(signal.SIGSTOP, paused=True)

    def resume(self) -> None:
        """Continue the process after `pause`."""
        self._signal(signal.SIGCONT, paused=False)

    def _signal(self, number: signal.Signals, *, paused: bool) -> None:
        if paused != self._paused and self.alive:
            self._paused = paused
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def fileno(self) -> int:
        """Return the pipe's descriptor for select: readable at a message or at the end."""
        return self._read_fd

    def messages(self) -> Iterator[Message]:
        """Yield the messages not read yet, without waiting."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._read_fd, 1 << 20):
                self._buffer += chunk
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "error" in message:
                self.error = NativeError(self.what, **message["error"])
            else:
                yield message

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        if self.exit_status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
            self.exit_status = os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """Kill the process if it still runs, and close the pipe."""
        self.kill()
        if self._read_fd >= 0:
            os.close(self._read_fd)
            self._read_fd = -1

    def raise_for_end(self) -> None:
        """Raise NativeError or NativeCrash unless the process, which has ended, succeeded."""
        if self.error is not None:
            raise self.error
        if self.exit_status is not None and self.exit_status < 0:
            raise NativeCrash(self.what, -self.exit_status)
        if self.exit_status != 0:
            raise NativeError(
                self.what, "Exit", f"ended with code {self.exit_status}", ""
            )


def call(
    what: str,
    function: Callable[[], Message],
    *,
    timeout_s: float,
    stopped: Callable[[], bool] | None = None,
) -> Message:
    """Call `function` in a forked process and return the JSON object it returned.

    Raises NativeCrash, NativeTimeout (also when `stopped()` becomes true) or NativeError.
    """
    process = NativeProcess(what, lambda say: say({"returned": function()}))
    returned: Message | None = None
    deadline = time.monotonic() + timeout_s
    try:
        while True:
            alive = process.alive
            for message in process.messages():
                returned = message["returned"]
            if not alive:
                break
            if time.monotonic() > deadline or (stopped is not None and stopped()):
                raise NativeTimeout(f"{what} did not end within {timeout_s:.1f} s")
            select.select([process], [], [], 0.05)
        process.raise_for_end()
        if returned is None:
            raise NativeError(what, "Exit", "ended without an answer", "")
        return returned
    finally:
        process.close()

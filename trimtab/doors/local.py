"""Run jobs on this machine without a server, in the killable child that batch mode uses.

The child `python -m workers stream` lives on between solves, because its start takes longer than a
small model. It ends with this process. A process that was forked gets one of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trimtab.cli import server_code
from trimtab.doors.answer import DoorError

_END_S = 5.0  # for the child to end by itself, once its input is closed
_TAIL_CHARS = 2000

Message = dict[str, Any]


class LocalRunner:
    """A child that runs one job at a time. Use `borrow` and `give_back`."""

    def __init__(self) -> None:
        try:
            environment = server_code.environment()
        except server_code.NoServer as missing:
            raise DoorError(
                "no server is configured and none is installed here: set TRIMTAB_URL (and "
                f"TRIMTAB_API_KEY) to a running one, or install it: {missing}"
            ) from None
        # A session of its own: the terminal's Ctrl-C is for us, and we end the run in our way.
        self._process = subprocess.Popen(
            server_code.python("-m", "workers", "stream"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._said: list[str] = []
        self.pid = os.getpid()
        for read in (self._read, self._drain):
            threading.Thread(target=read, daemon=True).start()
        first = self._messages.get()
        if first is None or first.get("type") != "ready":
            raise self._death(first)

    def begin(self, job: Mapping[str, Any], *, folder: Path, files: Path) -> None:
        """Start a job; `receive` then returns its messages."""
        self.send({"type": "run", "job": job, "folder": str(folder), "files": str(files)})

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message: `stop` and `cancel` end the running job. Raises DoorError."""
        pipe = self._process.stdin
        try:
            if pipe is None:
                raise BrokenPipeError
            pipe.write(json.dumps(message).encode() + b"\n")
            pipe.flush()
        except (BrokenPipeError, ValueError):
            raise self._death(None) from None

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message, or None when none came in time. Raises DoorError."""
        try:
            message = self._messages.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if message is None or message.get("type") == "fault":
            raise self._death(message)
        return message

    @property
    def alive(self) -> bool:
        """True while the child can take a job of this process."""
        return self._process.poll() is None and self.pid == os.getpid()

    def close(self) -> None:
        """End the child and its runs. A forked process leaves its parent's alone."""
        if self.pid != os.getpid():
            return
        with contextlib.suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        if self._process.stdout is not None:
            with self._process.stdout as pipe:
                for line in pipe:
                    with contextlib.suppress(ValueError):
                        self._messages.put(json.loads(line))
        self._messages.put(None)

    def _drain(self) -> None:
        """Keep the end of the child's standard error, so that its pipe never fills."""
        if self._process.stderr is not None:
            with self._process.stderr as pipe:
                for line in pipe:
                    self._said.append(line.decode(errors="replace"))
                    del self._said[:-50]

    def _death(self, message: Message | None) -> DoorError:
        why = str((message or {}).get("detail") or "".join(self._said)[-_TAIL_CHARS:])
        return DoorError(
            "the local solve could not be run: `python -m workers stream` ended"
            f"{': ' + why.strip() if why.strip() else ''}; solve again, or use a server: "
            "TRIMTAB_URL"
        )


def available() -> bool:
    """Return True when a server is configured or this machine has the engines; asks nobody."""
    if os.environ.get("TRIMTAB_URL"):
        return True
    try:
        server_code.environment()
    except server_code.NoServer:
        return False
    return True


_idle: list[LocalRunner] = []
_lock = threading.Lock()


def borrow() -> LocalRunner:
    """Return an idle runner, or a new one. Raises DoorError."""
    with _lock:
        while _idle:
            runner = _idle.pop()
            if runner.alive:
                return runner
            runner.close()
    return LocalRunner()


def give_back(runner: LocalRunner) -> None:
    """Take back a runner whose job has ended. One is kept for the next solve."""
    with _lock:
        if runner.alive and not _idle:
            _idle.append(runner)
            return
    runner.close()


@atexit.register
def close_all() -> None:
    """End the idle runners of this process."""
    with _lock:
        idle, _idle[:] = list(_idle), []
    for runner in idle:
        runner.close()

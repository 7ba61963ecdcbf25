"""Run an untrusted program under limits and report how it ended; `confine.py` holds it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from solvers.privileges import SYSTEM_FOLDERS

# By this variable workers.process.process_tree finds what a killed run started. Nothing else of our
# environment is passed on.
_MARK = "RUN_FOLDER"
_LAUNCHER = Path(__file__).with_name("confine.py")
# Not resolved: in a sandbox only this path to the code can be listed.
_ROOT = str(Path(__file__).absolute().parents[2])
_LONGEST_ORDER = 100_000  # the kernel takes 128 KiB in one argument
_TICK_S = 0.05


class CannotConfine(Exception):
    """The launcher could not start the program. The message has the reason."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one program. Exceeding one ends it."""

    wall_s: float
    cpu_s: float | None = None  # None: as `wall_s`
    memory_bytes: int = 4 * 2**30  # address space of each process
    output_bytes: int = 8 * 2**20  # standard output and error, each
    file_bytes: int = 256 * 2**20  # one file
    processes: int = 64  # at once; not enforced when we are root
    open_files: int = 256


@dataclass(frozen=True, kw_only=True)
class Held:
    """Protections that this kernel allowed."""

    network: bool = False  # a network namespace of its own, without devices
    processes: bool = False  # a process namespace: nothing it started outlives it
    files: bool = False  # Landlock: only the folders given


@dataclass(frozen=True, kw_only=True)
class Finished:
    """End of a program. Exactly one of `exit_code`, `signal` and `limit` is set."""

    exit_code: int | None = None
    signal: int | None = None  # number of the signal that ended it
    limit: str = ""  # "seconds", "output", "files" or "stopped": why it was killed
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0  # wall clock
    cpu_s: float = 0.0
    peak_bytes: int = 0
    held: Held = field(default_factory=Held)


@dataclass(frozen=True, kw_only=True)
class Access:
    """Files and environment of one program."""

    readable: Sequence[Path | str] = ()  # beside SYSTEM_FOLDERS
    writable: Sequence[Path | str] = ()  # may be read too
    environment: Mapping[str, str] = field(default_factory=dict)


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    limits: Limits,
    access: Access,
    stdin: bytes = b"",
    stopped: Callable[[], bool] = lambda: False,
    watch: Callable[[], str | None] = lambda: None,
    name: str = "",
) -> Finished:
    """Run `command` (its first word is a path) to its end or to a limit; nothing of it is left.

    `name` is what the program sees as its own name, instead of the path. `watch` is called a few
    times a second and may name a limit that was exceeded. Raises CannotConfine.
    """
    mark = {_MARK: os.environ[_MARK]} if _MARK in os.environ else {}
    report, its_end = os.pipe()
    order = json.dumps(
        {
            "command": [str(word) for word in command],
            "name": name,
            "environment": {**mark, **access.environment},
            "readable": [*SYSTEM_FOLDERS, *map(str, access.readable)],
            "writable": list(map(str, access.writable)),
            "report": its_end,
            "memory_bytes": limits.memory_bytes,
            "cpu_s": limits.wall_s if limits.cpu_s is None else limits.cpu_s,
            "file_bytes": limits.file_bytes,
            "open_files": limits.open_files,
            "processes": limits.processes,
        }
    )
    if len(order) > _LONGEST_ORDER:
        os.close(report)
        os.close(its_end)
        raise CannotConfine(
            f"command: expected arguments of at most {_LONGEST_ORDER:,} bytes, got {len(order):,}"
        )
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER), order, _ROOT],
            cwd=cwd,
            env={"LC_ALL": "C.UTF-8", **mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(its_end,),
            start_new_session=True,
        )
    except OSError as error:
        os.close(report)
        raise CannotConfine(f"cannot start {sys.executable}: {error}") from error
    finally:
        os.close(its_end)
    reading = _Reading(process, report, stdin, limits.output_bytes)
    try:
        limit = reading.until(started + limits.wall_s, stopped, watch)
    finally:
        _end(process)
        reading.close()
    return _finished(command, reading, limit, time.monotonic() - started)


class _Reading:
    """The program's four streams, read and written within the limit on output."""

    def __init__(
        self, process: subprocess.Popen[bytes], report: int, stdin: bytes, most: int
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._stdin, self._report, self._left, self._most = (
            process.stdin,
            report,
            memoryview(stdin),
            most,
        )
        self.texts: dict[int, bytearray] = {}
        self._selector = selectors.DefaultSelector()
        self.out, self.err = process.stdout.fileno(), process.stderr.fileno()
        self._files = (process.stdout, process.stderr)
        for descriptor in (self.out, self.err, report):
            os.set_blocking(descriptor, False)
            self.texts[descriptor] = bytearray()
            self._selector.register(descriptor, selectors.EVENT_READ)
        os.set_blocking(self._stdin.fileno(), False)
        self._selector.register(self._stdin, selectors.EVENT_WRITE)

    @property
    def report(self) -> bytes:
        return bytes(self.texts[self._report])

    def until(
        self,
        deadline: float,
        stopped: Callable[[], bool],
        watch: Callable[[], str | None],
    ) -> str:
        """Move data until no process holds a stream; return the limit that ended it, or ""."""
        ticks = 0
        while self._selector.get_map():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return "seconds"
            ready = self._selector.select(min(_TICK_S, left_s))
            for key, _ in ready:
                if key.fileobj is self._stdin:
                    self._give()
                elif not self._take(key.fd):
                    return "output"
            ticks += 1
            if stopped():
                return "stopped"
            if ticks % 5 == 0 and (passed := watch()) is not None:
                return passed
        return ""

    def _give(self) -> None:
        try:
            if self._left:
                self._left = self._left[
                    os.write(self._stdin.fileno(), self._left[:65536]) :
                ]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._left = self._left[:0]
        if not self._left:
            self._selector.unregister(self._stdin)
            self._stdin.close()

    def _take(self, descriptor: int) -> bool:
        try:
            chunk = os.read(descriptor, 65536)
        except BlockingIOError:
            return True
        if not chunk:
            self._selector.unregister(descriptor)
            return True
        text = self.texts[descriptor]
        text += chunk[: self._most - len(text)]
        return len(text) < self._most or descriptor == self._report

    def close(self) -> None:
        self._selector.close()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        for file in self._files:
            file.close()
        os.close(self._report)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the launcher: SIGTERM lets it end what it started, SIGKILL follows after six seconds."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(6)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _finished(
    command: Sequence[str], reading: _Reading, limit: str, seconds: float
) -> Finished:
    report: dict[str, object] = {}
    for line in reading.report.splitlines():
        report.update(json.loads(line))
    if "failed" in report:
        raise CannotConfine(f"cannot run {command[0]}: {report['failed']}")
    if not limit and "status" not in report:
        log = bytes(reading.texts[reading.err])[-500:]
        raise CannotConfine(f"the launcher of {command[0]} ended early: {log!r}")
    held = report.get("held")
    status = report.get("status")
    code = status if isinstance(status, int) and not limit else None
    return Finished(
        exit_code=code if code is not None and code >= 0 else None,
        signal=-code if code is not None and code < 0 else None,
        limit=limit,
        stdout=bytes(reading.texts[reading.out]),
        stderr=bytes(reading.texts[reading.err]),
        seconds=seconds,
        cpu_s=_number(report.get("cpu_s")),
        peak_bytes=int(_number(report.get("peak_bytes"))),
        held=Held(**held) if isinstance(held, dict) else Held(),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0

"""Client side of the engine's server process: start it, exchange messages, end it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from solvers.llvm.children import last_words
from solvers.llvm.types import EngineDied

_POLL_S = 0.02
# Not resolved: in a sandbox only this path to the code can be listed.
_ROOT = str(Path(__file__).absolute().parents[2])
# -I and -S: neither the user's environment nor site packages; that also halves the start-up time.
_PASSED_ON = (
    "PATH",
    "HOME",
    "XDG_CACHE_HOME",
    "TRIMTAB_CACHE",
    "LD_LIBRARY_PATH",
    "TMPDIR",
)
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from solvers.llvm.server import main; main()"
)


class ServerProcess:
    """A running server with a private folder for its files."""

    def __init__(self, workdir: Path | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="llvm-", dir=workdir))  # mode 0700
        command = [
            sys.executable,
            "-I",
            "-S",
            *(["-B"] if sys.dont_write_bytecode else []),
            "-c",
            _START,
        ]
        try:
            with (self.folder / "stderr").open("wb") as log:
                self._process = subprocess.Popen(
                    [*command, _ROOT, str(os.getpid()), str(self.folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                    cwd=self.folder,  # some passes write files where they are
                    env={
                        name: os.environ[name]
                        for name in _PASSED_ON
                        if name in os.environ
                    }
                    | {"LC_ALL": "C.UTF-8"},
                )
        except OSError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._rest = b""
        self._lines: list[bytes] = []

    @property
    def pid(self) -> int:
        """Process id of the server; it leads a session and a group of its own."""
        return self._process.pid

    def ask(
        self,
        request: dict[str, Any],
        *,
        seconds: float,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[dict[str, Any]]:
        """Send a request and yield its replies; the last has "done" or "error".

        When `stopped()` turns true, the server receives a stop and the replies end sooner. Raises
        EngineDied when the server ends, or is silent for `seconds`.
        """
        finished = False
        try:
            self._send(json.dumps(request).encode() + b"\n")
            deadline, stop_sent = time.monotonic() + seconds, False
            while not finished:
                line = self._receive()
                if line is not None:
                    reply = json.loads(line)
                    finished = "done" in reply or "error" in reply
                    yield reply
                    deadline = time.monotonic() + seconds
                elif time.monotonic() > deadline:
                    raise EngineDied(f"the engine did not answer for {seconds:.0f} s")
                if not finished and not stop_sent and stopped():
                    self._send(b'{"op": "stop"}\n')
                    stop_sent = True
        finally:
            # Unread replies would be taken for those of the next request.
            if not finished:
                self.signal_end()

    def _send(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._in, data) :]
        except (BrokenPipeError, OSError, ValueError) as error:
            raise EngineDied(self.last_words()) from error

    def _receive(self) -> bytes | None:
        """Return a line, or None when none arrives within a short wait."""
        if self._lines:
            return self._lines.pop(0)
        try:
            ready = select.select([self._out], [], [], _POLL_S)[0]
            data = os.read(self._out, 1 << 20) if ready else None
        except (OSError, ValueError) as error:  # closed by `kill` in another thread
            raise EngineDied("the engine was closed") from error
        if data is None:
            return None
        if not data:
            raise EngineDied(self.last_words())
        *self._lines, self._rest = (self._rest + data).split(b"\n")
        return self._lines.pop(0) if self._lines else None

    def last_words(self) -> str:
        """Return how the server ended, and the end of its log."""
        code = self._process.poll()
        if code is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(timeout=1)
        with contextlib.suppress(OSError):
            with (self.folder / "stderr").open("rb") as file:
                message = last_words(file.read(1 << 20).decode("utf-8", "replace"))
            how = (
                signal.Signals(-code).name
                if code is not None and code < 0
                else f"exit {code}"
            )
            return f"{how}: {message}" if message else how
        return "the engine's process is gone"

    def signal_end(self) -> None:
        """End the server and its children at once; may be called from any thread."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the server, wait for it and remove its folder."""
        if self._process.poll() is None:
            self.signal_end()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)

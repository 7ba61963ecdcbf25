"""A real server in a process of its own, to measure, kill and start again.

Nothing here imports the server: it is started as `python -m services` and used over HTTP, as a
user would.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil


class ServerDied(RuntimeError):
    """The server ended by itself; the message carries the end of its log."""


def free_port() -> int:
    """Return a port that was free a moment ago.

    The server keeps it over restarts, so that clients find it again.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One `python -m services` on loopback."""

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_file = data_dir.parent / f"{data_dir.name}.log"
        # The same on every machine.
        self._settings = {"workers": "2"} | dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> str:
        """The admin key that the first start wrote."""
        return (self.data_dir / "admin.key").read_text().strip()

    @property
    def process(self) -> psutil.Process:
        """The server's main process."""
        if self._process is None:
            raise RuntimeError("the server is not running; call start() first")
        return psutil.Process(self._process.pid)

    def start(self, *, ready_within_s: float = 180.0) -> float:
        """Start and wait until `/readyz` answers 200; returns the seconds it took."""
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith("TRIMTAB_")
        }
        environment |= {
            "TRIMTAB_DATA_DIR": str(self.data_dir),
            "TRIMTAB_PORT": str(self.port),
            "TRIMTAB_DIAGNOSTIC_KINDS": "true",
            "TRIMTAB_LOG_LEVEL": "warning",
        } | {f"TRIMTAB_{k.upper()}": v for k, v in self._settings.items()}
        began = time.perf_counter()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while time.perf_counter() - began < ready_within_s:
            if self._process.poll() is not None:
                raise ServerDied(
                    f"the server ended with code {self._process.returncode}:\n{self.log_tail()}"
                )
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/readyz")[0] == 200:
                    return time.perf_counter() - began
            time.sleep(0.02)
        raise ServerDied(
            f"the server was not ready within {ready_within_s} s:\n{self.log_tail()}"
        )

    def log_tail(self, characters: int = 3000) -> str:
        """Return the end of the server's log."""
        return (
            self.log_file.read_text(errors="replace")[-characters:]
            if self.log_file.exists()
            else ""
        )

    def get(self, path: str, *, timeout_s: float = 10.0) -> tuple[int, Any]:
        """GET a path, with the admin key if there is one; return status and parsed body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            headers = {}
            if (self.data_dir / "admin.key").exists():
                headers["Authorization"] = f"Bearer {self.key}"
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            is_json = "json" in (answer.getheader("Content-Type") or "")
            return answer.status, json.loads(body) if is_json else body
        finally:
            connection.close()

    def descendants(self) -> list[psutil.Process]:
        """Return every process that the server has started and that is alive."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [
                p
                for p in self.process.children(recursive=True)
                if p.status() != psutil.STATUS_ZOMBIE
            ]
        return []

    def kill(self) -> None:
        """Kill the server alone with SIGKILL; its processes must notice by themselves."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self, *, within_s: float = 30.0) -> int:
        """Terminate it, and kill it when it does not end in time; returns the exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return int(self._process.returncode)


@contextlib.contextmanager
def running_server(data_dir: Path, **settings: str) -> Iterator[Server]:
    """Start a server, and stop it at the end."""
    server = Server(data_dir, settings=settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def survivors(
    processes: list[psutil.Process], *, within_s: float = 5.0
) -> list[psutil.Process]:
    """Return the processes that are alive after `within_s`: orphans, if their parent has ended."""
    _gone, alive = psutil.wait_procs(processes, timeout=within_s)
    return [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

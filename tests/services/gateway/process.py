"""`python -m services` as a real process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.waiting import PATIENCE_S

START_S = 120.0


@dataclass
class Running:
    process: subprocess.Popen[str]
    api: httpx2.Client
    data_dir: Path

    def terminate(self) -> int:
        """Send SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


def environment(**more: str) -> dict[str, str]:
    """Return our environment without TRIMTAB_* variables, plus `more`."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TRIMTAB_")
    } | more


def refused(*arguments: str, **env: str) -> tuple[int, str]:
    """Start a server that must refuse to start; returns (exit code, stderr)."""
    done = subprocess.run(
        [sys.executable, "-m", "services", *arguments],
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=START_S,
    )
    return done.returncode, done.stderr


@contextlib.contextmanager
def served(data_dir: Path, *arguments: str) -> Iterator[Running]:
    """Run a server with the defaults: keys on, loopback, and a free port."""
    command = [
        sys.executable,
        "-m",
        "services",
        "--port",
        "0",
        "--data-dir",
        str(data_dir),
        "--diagnostic-kinds",
    ]
    command += ["--workers", "2"]  # on every machine
    log = (data_dir.parent / "server.log").open("w")
    process = subprocess.Popen(
        [*command, *arguments], env=environment(), stderr=log, stdout=log, text=True
    )
    try:
        deadline = time.monotonic() + START_S
        while not (data_dir / "server.json").exists():
            assert process.poll() is None, (data_dir.parent / "server.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        url = json.loads((data_dir / "server.json").read_text())["url"]
        with httpx2.Client(base_url=url, timeout=120) as api:
            # The socket listens before the application is up: this call waits for it.
            assert api.get("/healthz").status_code == 200
            api.headers["authorization"] = (
                f"Bearer {(data_dir / 'admin.key').read_text().strip()}"
            )
            yield Running(process, api, data_dir)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        log.close()

"""A batch run inside `ray job submit`, on a cluster whose dashboard requires the token."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import orjson
import pytest

from tests.workers.cluster.cluster import ROOT, members
from workers.cluster.auth import make_token
from workers.cluster.pool import READY_S


def free_port() -> int:
    """Above Ray's own range of worker ports, which it refuses for the control store."""
    for port in range(24_000, 32_000):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port + os.getpid() % 1000))
            return port + os.getpid() % 1000
    raise RuntimeError("no free port")


def status(url: str, token: str | None = None) -> int:
    request = urllib.request.Request(
        url, headers={"Authorization": f"Bearer {token}"} if token else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


@pytest.mark.ray
def test_batch_inside_ray_job_submit(tmp_path: Path, scale: float) -> None:
    if scale < 0.5:
        pytest.skip("starts a dashboard: --scale 0.5 or more")
    token_file = make_token(tmp_path / "token")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "PYTHONPATH": str(ROOT),
    }
    ray = str(Path(sys.executable).parent / "ray")
    gcs, dashboard = free_port(), free_port() + 1
    url = f"http://127.0.0.1:{dashboard}"
    head = subprocess.Popen(
        [
            ray,
            "start",
            "--head",
            "--block",
            f"--port={gcs}",
            f"--dashboard-port={dashboard}",
            "--num-cpus=2",
        ],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while status(f"{url}/api/version", token_file.read_text()) != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert status(f"{url}/api/version") == 401
        jobs, out = tmp_path / "jobs.jsonl", tmp_path / "out.jsonl"
        jobs.write_text(
            '{"id": "a", "kind": "probe", "spec": {}}\n{"id": "b", "kind": "probe", "spec": {}}\n'
        )
        batch = [
            sys.executable,
            "-m",
            "workers",
            "batch",
            str(jobs),
            "--out",
            str(out),
            "--executor",
            "ray",
        ]
        done = subprocess.run(
            [
                ray,
                "job",
                "submit",
                f"--address={url}",
                "--",
                *batch,
                "--concurrency",
                "1",
                "--sandbox",
                "rlimit",
            ],
            env=environment,
            capture_output=True,
            text=True,
            # More than the executor waits for its first actor, so that its own words are seen.
            timeout=READY_S + 120,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        assert {
            orjson.loads(line)["state"] for line in out.read_bytes().splitlines()
        } == {"SUCCEEDED"}
    finally:
        # --block: the head has a process group of its own. Never `ray stop`, which ends every
        # cluster of the machine.
        for pid in members(head.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        head.wait()

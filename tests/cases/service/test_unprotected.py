"""A kernel without Landlock: the service reports it everywhere and serves one tenant."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases.service.http_client import Service
from workers.bench.service.harness import Server

WITHOUT = [sys.executable, "-m", "tests.cases.service.without_landlock"]


class WeakServer(Server):
    """Run a server as on a machine without Landlock."""

    def start(self, *, ready_within_s: float = 30.0, expect_ready: bool = True) -> float:
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        environment = os.environ | {
            "TRIMTAB_DATA_DIR": str(self.data_dir),
            "TRIMTAB_PORT": str(self.port),
            "TRIMTAB_SANDBOX": "rlimit",
            "TRIMTAB_DIAGNOSTIC_KINDS": "true",
            "TRIMTAB_LOG_FORMAT": "json",
        }
        with self.log_file.open("ab") as log:
            command = [*WITHOUT, sys.executable, "-m", "services"]
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        began = time.monotonic()
        while time.monotonic() - began < ready_within_s:
            try:
                if self.get("/readyz")[0] == (200 if expect_ready else 503):
                    return time.monotonic() - began
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(self.log_tail())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WeakServer]:
    made = WeakServer(tmp_path / "data")
    yield made
    made.stop()


def test_one_tenant_and_no_other(server: WeakServer) -> None:
    server.start()
    admin = Service(server)
    _, pool = admin.ask("GET", "/v1/workers")
    assert pool["executor"]["protects"] == {"files": False, "network": True}
    assert "Landlock" in pool["executor"]["sandbox_gaps"]
    assert "sandbox does not protect files" in server.log_tail()
    job = admin.run("probe", {"steps": 1})
    assert job["state"] == "SUCCEEDED", job
    status, problem = admin.ask(
        "POST", "/v1/keys", {"name": "x", "scopes": ["submitter"], "tenant": "other"}
    )
    assert status == 409, problem
    assert problem["detail"].startswith(
        "tenant: expected 'default', the only tenant of this server, got 'other': "
    )
    assert "bubblewrap" in problem["fix"]
    status, _ = admin.ask(
        "POST", "/v1/keys", {"name": "x", "scopes": ["submitter"], "tenant": "default"}
    )
    assert status == 201


def test_tenants_of_a_better_day_are_not_served(
    server: WeakServer, tmp_path: Path
) -> None:
    """Jobs of keys that were made where the sandbox worked stay queued; readiness says why."""
    strong = Server(server.data_dir, port=server.port)
    strong.start()
    other = Service(strong).other(tenant="other")
    strong.stop()
    server.start(expect_ready=False)
    job = other.submit("probe", {"steps": 1})
    time.sleep(2.0)
    assert other.ask("GET", f"/v1/jobs/{job['id']}")[1]["state"] == "QUEUED"
    admin = Service(server)
    status, body = admin.ask("GET", "/readyz")
    assert status == 503
    assert "tenant" in body["refusal"]
    assert "other" in admin.ask("GET", "/v1/workers")[1]["refusal"]
    assert (
        admin.ask("DELETE", f"/v1/keys/{other.ask('GET', '/v1/me')[1]['key_id']}")[0]
        == 204
    )
    assert other.server.log_file.exists()
    deadline = time.monotonic() + 90
    while admin.ask("GET", "/readyz")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert admin.ended(job)["state"] == "SUCCEEDED"


def test_the_doctor_reports_it() -> None:
    code = "from trimtab.cli.doctor import _sandbox; print(_sandbox())"
    environment = os.environ | {"PATH": "/nonexistent"}  # no bubblewrap either
    done = subprocess.run(
        [*WITHOUT, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert "ok=False" in done.stdout, done
    assert "Landlock" in done.stdout


def test_a_child_that_cannot_close_its_door_does_not_start(tmp_path: Path) -> None:
    """A child for which files are unprotected must not read input, whatever the host found."""
    command = [
        *WITHOUT,
        sys.executable,
        "-m",
        "workers.process.child",
        "--workdir",
        str(tmp_path),
        "--protect",
        "files",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode not in (0, -signal.SIGKILL)
    assert "expected files to be protected" in done.stderr


def test_data_that_runs_could_read_is_refused(tmp_path: Path) -> None:
    environment = os.environ | {
        "TRIMTAB_DATA_DIR": "/usr/share/trimtab-data",
        "TRIMTAB_PORT": "0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "services"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        "data_dir: expected a folder that runs cannot read, got /usr/share/trimtab-data"
    )
    assert json.dumps(done.stderr).count("\\n") == 1

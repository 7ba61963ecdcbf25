"""Data folder, roles, readiness, sign-out, and waiting of the command line (cases 05 to 08)."""

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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.settings import Settings
from tests.cases.service.http_client import Service
from tests.postgres import postgres_server, postgres_url
from tests.waiting import sooner_than
from trimtab import config
from workers.bench.service.harness import Server, free_port, running_server

__all__ = ["postgres_server", "postgres_url"]
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_server(
        tmp_path_factory.mktemp("roles") / "data",
        sandbox="rlimit",
        webhook_allowed_hosts="127.0.0.1",
    ) as one:
        yield Service(one)


def trimtab(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TRIMTAB_")
    }
    return subprocess.run(
        [sys.executable, "-m", "trimtab.cli", *arguments],
        capture_output=True,
        text=True,
        env={**plain, **environment},
        timeout=60,
    )


# -- 05: one data folder --


def test_every_entry_point_has_one_default_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TRIMTAB_DATA_DIR", raising=False)
    assert (
        Settings().data_dir
        == config.data_dir()
        == tmp_path / ".local" / "share" / "trimtab"
    )
    assert '".local" / "share" / "trimtab"' in (ROOT / "deploy" / "run.py").read_text()


def test_a_second_server_names_the_first(service: Service) -> None:
    done = trimtab("serve", TRIMTAB_DATA_DIR=str(service.data))
    assert done.returncode == 1
    assert service.url in done.stderr
    assert "--data-dir and --port" in done.stderr


def test_the_starter_ends_what_it_started(tmp_path: Path) -> None:
    """SIGTERM in the middle of a job, as from the time limit of a CI job."""
    model = tmp_path / "m.lp"
    model.write_text(
        "Maximize\n "
        + " + ".join(f"{i % 7 + 1} x{i}" for i in range(60))
        + "\nSubject To\n c: "
        + " + ".join(f"{i % 11 + 3} x{i}" for i in range(60))
        + " <= 100\nBinaries\n "
        + " ".join(f"x{i}" for i in range(60))
        + "\nEnd\n"
    )
    data = tmp_path / "home" / "data"
    environment = {
        **os.environ,
        "TRIMTAB_DATA_DIR": str(data),
        "TRIMTAB_PORT": str(free_port()),
    }
    command = [
        sys.executable,
        str(ROOT / "deploy" / "run.py"),
        "--model",
        str(model),
        "--seconds",
        "60",
        "--keep",
    ]
    starter = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (data / "server.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    started = psutil.Process(starter.pid).children(recursive=True)
    assert started
    starter.send_signal(signal.SIGTERM)
    assert starter.wait(60) == 128 + signal.SIGTERM
    _gone, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []


# -- 06: roles --


@pytest.mark.postgres
def test_a_dispatcher_serves_health_alone(postgres_url: str, tmp_path: Path) -> None:
    settings = {"database_url": postgres_url, "role": "dispatcher"}
    dispatcher = Server(tmp_path / "data", settings=settings)
    dispatcher.start()
    gateway = Server(tmp_path / "data", settings={**settings, "role": "gateway"})
    gateway.start()
    try:
        api, other = Service(gateway), Service(dispatcher)
        for path in ("/healthz", "/readyz", "/metrics"):
            assert other.ask("GET", path)[0] == 200
        for method, path in (
            ("POST", "/v1/jobs"),
            ("GET", "/v1/jobs"),
            ("GET", "/"),
            ("GET", "/login"),
            ("GET", "/openapi.json"),
            ("GET", "/v1/workers"),
        ):
            assert other.ask(method, path, {} if method == "POST" else None)[0] == 404, (
                path
            )
        assert (
            json.loads((tmp_path / "data" / "server.json").read_text())["url"]
            == gateway.url
        )
        # It runs the jobs that the gateway accepted.
        assert api.run("probe", {"steps": 1})["state"] == "SUCCEEDED"
    finally:
        gateway.stop()
        dispatcher.stop()


# -- readiness --


def test_readiness_tries_a_write(service: Service) -> None:
    assert service.ask("GET", "/readyz")[0] == 200
    blobs = service.data / "blobs"
    moved = service.data / "kept"
    if blobs.exists():
        blobs.rename(moved)
    blobs.write_text("a file where the folder was: no upload can be stored")
    try:
        status, body = service.ask("GET", "/readyz")
        assert (status, body["status"]) == (503, "not ready")
        assert "not writable" in body["disk_error"]
    finally:
        blobs.unlink()
        if moved.exists():
            moved.rename(blobs)
    assert service.ask("GET", "/readyz")[0] == 200


# -- 07: sign-out --


def go(
    service: Service, method: str, path: str, **headers: str
) -> http.client.HTTPResponse:
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", service.server.port, timeout=30)
    ) as connection:
        connection.request(method, path, headers={"Connection": "close", **headers})
        with connection.getresponse() as answer:
            answer.read()
            return answer


def sign_in(service: Service) -> str:
    _, ticket = service.ask("POST", "/v1/session-tickets")
    return str(go(service, "GET", ticket["path"]).getheader("set-cookie")).split(";")[0]


def test_a_copied_cookie_ends_with_the_session(service: Service) -> None:
    cookie, other = sign_in(service), sign_in(service)
    assert go(service, "GET", "/", Cookie=cookie).status == 200
    assert go(service, "POST", "/logout", Cookie=cookie, Origin=service.url).status == 303
    for path in ("/", "/submit", "/workers"):
        after = go(service, "GET", path, Cookie=cookie)
        assert (after.status, str(after.getheader("location"))[:6]) == (303, "/login")
    assert go(service, "GET", "/v1/jobs", Cookie=cookie).status == 401
    # Another browser of the same key goes on.
    assert go(service, "GET", "/", Cookie=other).status == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c[:-1] + ("B" if c.endswith("A") else "A"),
        lambda c: c.replace(".", "", 1),
        lambda c: c + ".x",
        lambda c: c.split(".")[0],
    ],
)
def test_no_other_cookie_is_taken(service: Service, change: Any) -> None:
    assert go(service, "GET", "/", Cookie=change(sign_in(service))).status == 303


def test_a_session_stays_ended_after_a_restart(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", settings={"role": "gateway"})
    server.start()
    try:
        service = Service(server)
        cookie = sign_in(service)
        go(service, "POST", "/logout", Cookie=cookie, Origin=service.url)
        server.stop()
        server.start()
        assert go(service, "GET", "/", Cookie=cookie).status == 303
    finally:
        server.stop()


# -- 08 and the command line --


def test_a_wrong_address_is_reported_within_seconds() -> None:
    # Two seconds, and the start of Python on a busy machine.
    with sooner_than(60):
        done = trimtab("list", TRIMTAB_URL="http://127.0.0.1:1", TRIMTAB_API_KEY="tt_x")
    assert done.returncode == 3
    waiting, last = done.stderr.strip().splitlines()
    assert waiting.startswith("trimtab: waiting for http://127.0.0.1:1: ")
    assert "is the server running?" in last


def test_a_silent_server_is_reported_while_it_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = trimtab("list", TRIMTAB_URL=url, TRIMTAB_API_KEY="tt_x")
    assert done.returncode == 3
    assert f"trimtab: waiting for an answer of {url}" in done.stderr.splitlines()


def test_the_command_line_knows_what_the_api_knows(service: Service) -> None:
    env = {"TRIMTAB_DATA_DIR": str(service.data)}
    assert trimtab("--version").stdout.startswith("trimtab ")
    job = service.run("probe", {"steps": 3}, labels={"who": "me"})
    service.run("probe", {"steps": 1})
    (line,) = trimtab("list", "--label", "who=me", **env).stdout.splitlines()
    assert job["id"] in line
    assert "who=me" in line
    assert job["created_at"][:10] in line
    made = json.loads(
        trimtab(
            "keys", "--create", "k", "--tenant", "acme", "--expires", "90d", **env
        ).stdout
    )
    assert (made["tenant"], made["expires_at"] is not None) == ("acme", True)
    refused = trimtab("keys", "--create", "k", "--expires", "soon", **env)
    assert refused.returncode == 2
    assert "expected a time such as" in " ".join(refused.stderr.replace("│", " ").split())


def test_a_webhook_that_cannot_be_delivered_is_the_owners_to_see(
    service: Service,
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        # Bound but not listening: every connection is refused.
        port = closed.getsockname()[1]
        job = service.run(
            "probe", {"steps": 1}, webhook={"url": f"http://127.0.0.1:{port}/hook"}
        )
        deadline = time.monotonic() + 120
        while (view := service.ask("GET", f"/v1/jobs/{job['id']}")[1])["webhook"][
            "tries"
        ] == 0:
            assert time.monotonic() < deadline, view
            time.sleep(0.2)
    assert view["webhook"]["state"] == "waiting"
    assert view["webhook"]["detail"]
    _, page = service.ask(
        "GET", f"/jobs/{job['id']}", headers={"Authorization": f"Bearer {service.key}"}
    )
    assert b"Webhook waiting after" in page
    shown = trimtab("get", job["id"], TRIMTAB_DATA_DIR=str(service.data))
    assert "webhook waiting" in shown.stderr


def test_operation_ids_are_names(service: Service) -> None:
    _, document = service.ask("GET", "/openapi.json")
    names = [
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    ]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() and "v1" not in name for name in names)
    assert "cancel_job" in names


def test_messages_have_one_wording(service: Service) -> None:
    for body, text in (
        ({"kind": "probe"}, "spec: expected a value, got nothing"),
        (
            {"kind": "probe", "spec": {}, "budget": {"seconds": -3}},
            "budget.seconds: expected a value greater than 0, got -3",
        ),
        (
            {"kind": "probe", "spec": {"stepz": 3}},
            "spec.stepz: expected no such field, got 3; did you mean 'steps'?",
        ),
        (
            {"kind": "sharding", "spec": {"devices": []}},
            "spec.devices: expected at least 1 entry, got 0; "
            'e.g. [{"count": 8, "memory_gib": 80, "hardware": "a100"}]',
        ),
        (
            {"kind": "ilp", "spec": {"model_text": "x", "engine": "gurobi"}},
            "spec.engine: expected one of 'highs', 'scip' or 'cp-sat', got 'gurobi'",
        ),
    ):
        status, problem = service.ask("POST", "/v1/jobs", body)
        assert (status, problem["detail"]) == (422, text)
        assert problem["errors"][0]["message"] == text

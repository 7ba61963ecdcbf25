"""Start and shutdown of `python -m services`: refused settings, locks, signals."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from services import __main__ as server
from services.settings import Settings, load
from tests.services.gateway.conftest import JOB
from tests.services.gateway.process import refused, served
from tests.waiting import PATIENCE_S
from trimtab.results import JobState

SLOW = {**JOB, "spec": {"steps": 1000, "step_seconds": 0.1}, "budget": {"seconds": 100.0}}


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, stderr = refused("--data-dir", str(tmp_path), "--port", port)
    assert code == 1
    assert stderr.startswith(f"cannot listen on 127.0.0.1:{port}")
    assert not (tmp_path / "server.json").exists()


def test_a_second_server_on_the_same_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with served(data, "--role", "gateway") as first:
        code, stderr = refused("--data-dir", str(data), "--port", "0")
        assert code == 1
        assert f"another trimtab server uses {data}" in stderr
        # The first server still runs, and clients still find it.
        assert first.api.get("/readyz").status_code == 200
        assert (data / "server.json").exists()
        assert first.terminate() == 0
    assert not (data / "server.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--auth", "off", "--host", "0.0.0.0"],
            "TRIMTAB_AUTH: expected 'keys' with the bind address '0.0.0.0', got 'off'",
        ),
        (["--sandbox", "rlimit", "--host", "0.0.0.0"], "TRIMTAB_CONTAINED=true"),
        (["--role", "dispatcher"], "TRIMTAB_DATABASE_URL"),
        (["--workers", "none"], "TRIMTAB_WORKERS: expected an integer, got 'none'"),
        (
            ["--port", "70000"],
            "TRIMTAB_PORT: expected a value of at most 65535, got '70000'",
        ),
    ],
    ids=[
        "no keys off loopback",
        "no sandbox off loopback",
        "no database",
        "no number",
        "no port",
    ],
)
def test_settings_that_cannot_work_are_one_clear_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, stderr = refused(
        "--data-dir", str(tmp_path / "data"), "--port", "0", *arguments
    )
    assert (code, len(stderr.splitlines())) == (2, 1), stderr
    assert message in stderr
    assert not (tmp_path / "data").exists()


def test_every_setting_is_a_flag_with_its_own_words() -> None:
    parser = server._parser()
    words = " ".join(parser.format_help().split())
    for name, setting in Settings.model_fields.items():
        assert f"TRIMTAB_{name.upper()}" in words
        assert (f"--{name.replace('_', '-')} " in words) == (name != "text_api_key")
        said = " ".join((setting.description or "").replace("`", "").split())
        assert said in words or name == "text_api_key"
    arguments = [
        *("--retention-job-days", "30", "--retention-job-states", "failed,CANCELLED"),
        *("--retention-file-bytes", "1000", "--allowed-hosts", "a.example, b.example"),
        "--contained",
    ]
    given = vars(parser.parse_args(arguments))
    loaded = load(**{name: value for name, value in given.items() if value is not None})
    assert loaded.retention.job_days == 30
    assert loaded.retention.job_states == [JobState.FAILED, JobState.CANCELLED]
    assert loaded.retention.file_bytes == 1000
    assert loaded.allowed_hosts == ("a.example", "b.example")
    assert loaded.contained


def test_traces_without_the_extra_are_one_clear_line(tmp_path: Path) -> None:
    module = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    hide = f"import sys\nsys.modules['{module}'] = None\n"
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "sitecustomize.py").write_text(hide)
    env = {
        "TRIMTAB_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "PYTHONPATH": str(tmp_path / "code"),
    }
    code, stderr = refused("--data-dir", str(tmp_path / "data"), "--port", "0", **env)
    assert (code, len(stderr.splitlines())) == (2, 1), stderr
    assert "pip install -e '.[otel]'" in stderr


def test_rlimits_alone_are_taken_in_a_container(tmp_path: Path) -> None:
    with served(
        tmp_path / "data", "--host", "0.0.0.0", "--sandbox", "rlimit", "--contained"
    ) as running:
        assert running.api.get("/readyz").json()["status"] == "ready"


def test_a_signal_ends_open_streams_and_the_server_cleanly(tmp_path: Path) -> None:
    with served(tmp_path / "data") as running:
        job = running.api.post("/v1/jobs", json=SLOW).json()["id"]
        heard: list[str] = []
        hearing = threading.Event()

        def listen() -> None:
            with running.api.stream("GET", f"/v1/jobs/{job}/events") as stream:
                for line in stream.iter_lines():
                    heard.append(line)
                    if line.startswith("event: incumbent"):
                        hearing.set()

        waited: list[int] = []

        def wait() -> None:
            waited.append(
                running.api.get(f"/v1/jobs/{job}/wait?timeout_s=60").status_code
            )

        threads = [threading.Thread(target=listen), threading.Thread(target=wait)]
        for thread in threads:
            thread.start()
        assert hearing.wait(PATIENCE_S)
        code = running.terminate()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert code == 0
        assert waited == [200]
        assert heard[-1] == ""  # complete to the last event, not truncated
        # The job has not ended, so the stream must not say so.
        assert not any("event: end" in line for line in heard)
        assert not (running.data_dir / "server.json").exists()

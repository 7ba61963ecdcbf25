"""Settings from the environment: plain lists, one line per fault, contradictions refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services import __main__ as entry
from services.settings import Settings, SettingsRefused, load, misspelt
from workers.bench.service.harness import Server


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("TRIMTAB_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "field", ["allowed_hosts", "webhook_allowed_hosts", "text_allowed_hosts"]
)
@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("opt.example", ("opt.example",)),
        ("opt.example,localhost", ("opt.example", "localhost")),
        (" opt.example , localhost ,", ("opt.example", "localhost")),
        ('["opt.example", "localhost"]', ("opt.example", "localhost")),
        ("10.0.0.1,[::1]:8642", ("10.0.0.1", "[::1]:8642")),
        ("", ()),
        ("[]", ()),
    ],
)
def test_lists_are_plain_or_json(
    monkeypatch: pytest.MonkeyPatch, field: str, text: str, hosts: tuple[str, ...]
) -> None:
    monkeypatch.setenv(f"TRIMTAB_{field.upper()}", text)
    assert getattr(load(), field) == hosts


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        (
            {"ALLOWED_HOSTS": "http://opt.example"},
            "TRIMTAB_ALLOWED_HOSTS: expected host names separated by commas",
        ),
        ({"ALLOWED_HOSTS": "a b"}, "got 'a b'"),
        (
            {"WEBHOOK_ALLOWED_HOSTS": "[1"},
            "TRIMTAB_WEBHOOK_ALLOWED_HOSTS: expected host names separated by commas",
        ),
        (
            {"TEXT_MODEL": "gpt-5"},
            "TRIMTAB_TEXT_MODEL: expected none, embedded, checkpoint:/folder or openai:URL, "
            "got 'gpt-5'",
        ),
        ({"TEXT_MODEL": "openai:"}, "TRIMTAB_TEXT_MODEL: expected none, embedded"),
        ({"TEXT_MODEL": "checkpoint:/nowhere"}, "a folder (or a .gguf file) that exists"),
        ({"TEXT_MODEL": "openai:ftp://a/v1"}, "got a URL of another scheme"),
        (
            {"TEXT_MODEL": "embedded", "TEXT_API_KEY": "sk-secret"},
            "TRIMTAB_TEXT_API_KEY: expected a model openai:URL with a key, got the model",
        ),
        ({"TEXT_THREADS": "0"}, "TRIMTAB_TEXT_THREADS: expected a value of at least 1"),
        ({"WORKERS": "0"}, "TRIMTAB_WORKERS: expected a value of at least 1, got '0'"),
        ({"WORKERS": "two"}, "TRIMTAB_WORKERS: expected an integer, got 'two'"),
        (
            {"SANDBOX": "chroot"},
            "TRIMTAB_SANDBOX: expected one of 'auto', 'rlimit' or 'bwrap', got 'chroot'",
        ),
        (
            {"CONTAINED": "perhaps"},
            "TRIMTAB_CONTAINED: expected true or false, got 'perhaps'",
        ),
        (
            {"ROLE": "dispatcher"},
            "TRIMTAB_ROLE: expected TRIMTAB_DATABASE_URL with role 'dispatcher', got none",
        ),
        (
            {"TLS_CERT": "/etc/hostname"},
            "TRIMTAB_TLS_KEY: expected a file with TRIMTAB_TLS_CERT, got none",
        ),
        (
            {"RAY_ADDRESS": "10.0.0.1:6379"},
            "TRIMTAB_RAY_ADDRESS: expected executor 'ray' with an address, got 'process'",
        ),
        (
            {"HEARTBEAT_S": "60"},
            "TRIMTAB_HEARTBEAT_S: expected less than TRIMTAB_LEASE_S (30), got 60",
        ),
        (
            {"EXECUTOR": "inline", "WORKERS": "4"},
            "TRIMTAB_WORKERS: expected 1 with executor 'inline'",
        ),
        (
            {"EXECUTOR": "inline", "SANDBOX": "bwrap"},
            "TRIMTAB_SANDBOX: expected auto with executor 'inline'",
        ),
        (
            {"HOST": "0.0.0.0", "AUTH": "off"},
            "TRIMTAB_AUTH: expected 'keys' with the bind address '0.0.0.0'",
        ),
    ],
)
def test_every_fault_is_one_line(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], line: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"TRIMTAB_{name}", value)
    with pytest.raises(SettingsRefused) as caught:
        load()
    assert line in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert "pydantic" not in str(caught.value)


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_DATABASE_URL", "postgresql://u:hush@h/d")
    monkeypatch.setenv("TRIMTAB_PORT", "-1")
    with pytest.raises(SettingsRefused) as caught:
        load()
    assert "hush" not in str(caught.value)


def test_a_name_that_is_nearly_a_setting_is_reported() -> None:
    (line,) = misspelt(
        {
            "TRIMTAB_ALOWED_HOSTS": "x",
            "TRIMTAB_PORT": "1",
            "TRIMTAB_PORT_8642_TCP_ADDR": "10.0.0.1",
            "TRIMTAB_URL": "http://127.0.0.1:8642",
            "TRIMTAB_API_KEY": "x",
            "TRIMTAB_CC_RUNS": "3",
            "PATH": "",
        }
    )
    assert line.endswith("did you mean TRIMTAB_ALLOWED_HOSTS?")


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(entry._CannotStart, match=r"data_dir: .*--data-dir"):
        entry._make_data_dir(file)
    entry._make_data_dir(tmp_path / "new" / "folder")


def test_a_served_host(tmp_path: Path) -> None:
    """The server starts and accepts the name as Host."""
    import http.client

    server = Server(
        tmp_path / "data",
        settings={"allowed_hosts": "opt.example,opt.test", "role": "gateway"},
    )
    server.start()
    try:
        for host, status in (
            ("opt.example", 200),
            ("opt.test", 200),
            ("evil.example", 400),
        ):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.request("GET", "/healthz", headers={"Host": host})
            assert (host, connection.getresponse().status) == (host, status)
            connection.close()
    finally:
        server.stop()


def test_help_is_whole() -> None:
    command = [sys.executable, "-m", "services", "--help"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    text = " ".join(done.stdout.split())
    for field in ("sandbox", "executor", "role", "auth", "log_level", "log_format"):
        for word in Settings.model_fields[field].annotation.__args__:  # type: ignore[union-attr]
            assert word in text
        assert f"Environment: TRIMTAB_{field.upper()}." in text
    # to the end of the sentence
    assert (
        "Unless the bind address is loopback, bubblewrap or contained is required."
        in text
    )
    for name, field in Settings.model_fields.items():
        if name == "text_api_key":  # in the environment alone
            assert f"TRIMTAB_{name.upper()}" in text
        elif field.annotation is not bool:
            assert f"--{name.replace('_', '-')} " in text
            assert f"Environment: TRIMTAB_{name.upper()}." in text
    flags = [each for each in Settings.model_fields.values() if each.annotation is bool]
    assert text.count("Default: ") == len(Settings.model_fields) - len(flags) - 1


def test_the_key_of_a_model_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_TEXT_MODEL", "openai:https://models.example/v1")
    monkeypatch.setenv("TRIMTAB_TEXT_API_KEY", "sk-secret")
    settings = load()
    assert "sk-secret" not in repr(settings)
    assert settings.text_api_key is not None
    assert settings.text_api_key.get_secret_value() == "sk-secret"

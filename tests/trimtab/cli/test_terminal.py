"""Output for people: control characters, and letters that the terminal lacks."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from trimtab.cli import app, following, terminal
from trimtab.errors import WaitTimeout
from trimtab.results import JobState, Reason, Termination


def test_a_message_cannot_command_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "line 1: got \x1b]0;owned\x07\tand\nmore"
    ended = Termination(reason=Reason.INVALID_INPUT, detail=text)
    assert ended.detail == "line 1: got \ufffd]0;owned\ufffd\tand\nmore"
    terminal.say(text)
    assert "\x1b" not in capsys.readouterr().err


def test_letters_that_the_encoding_lacks_are_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(app, "app", lambda: print("gr\u00f6\u00dfe"))
    with pytest.raises(SystemExit):
        app.run()
    stream.flush()
    assert stream.buffer.getvalue() == b"gr\\xf6\\xdfe\n"


def test_an_interrupted_wait_says_that_the_job_continues(
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = cast("Any", SimpleNamespace(id="job_1"))
    with pytest.raises(typer.Exit) as ended, following.detachable(job):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert "the job continues. `trimtab watch job_1`" in capsys.readouterr().err


class Held:
    """A job that the server does not begin for 50 s."""

    def __init__(self) -> None:
        self.now = 0.0
        self.view = SimpleNamespace(id="job_1", state=JobState.QUEUED, phase=None)

    def wait(self, timeout_s: float) -> Any:
        self.now += min(timeout_s, 50.0 - self.now)
        if self.now < 50.0:
            raise WaitTimeout(cast("Any", self.view), timeout_s)
        return self.view


@pytest.mark.parametrize(("terminal", "lines"), [(True, 3), (False, 1)])
def test_a_wait_says_that_the_job_has_not_begun(
    terminal: bool,
    lines: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = Held()
    clock = SimpleNamespace(monotonic=lambda: job.now)
    monkeypatch.setattr(following, "time", clock)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert following.wait_for(cast("Any", job)) is job.view
    printed = capsys.readouterr()
    said = printed.err.splitlines()
    assert len(said) == lines
    assert said[0].startswith("job_1 is QUEUED after 15 s: no worker has begun it")
    assert printed.out == ""


def test_a_wait_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Held()
    clock = SimpleNamespace(monotonic=lambda: job.now)
    monkeypatch.setattr(following, "time", clock)
    with pytest.raises(WaitTimeout, match="after 20 s"):
        following.wait_for(cast("Any", job), 20.0)
    assert job.now == 20.0


def test_an_interrupt_during_imports_shows_no_traceback() -> None:
    script = """
import os, signal, sys
from trimtab.cli import main
class Finder:
    def find_spec(self, name, *more):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
main()
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (-signal.SIGINT, "")

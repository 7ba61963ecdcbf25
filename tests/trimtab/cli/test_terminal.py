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

from trimtab.cli import app, jobs, terminal
from trimtab.results import Reason, Termination


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
    with pytest.raises(typer.Exit) as ended, jobs._detachable(job):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert "the job continues. `trimtab watch job_1`" in capsys.readouterr().err


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

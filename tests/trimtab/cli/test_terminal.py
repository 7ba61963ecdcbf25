"""Output for people: control characters, and letters that the terminal lacks."""

from __future__ import annotations

import io
import sys

import pytest

from trimtab.cli import app, terminal
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

"""Forked processes for native code: messages, ends and priorities."""

from __future__ import annotations

import os
import signal
import time

import pytest

from search.isolation import Message, NativeCrash, NativeError, NativeProcess, Say


def ended(process: NativeProcess) -> list[Message]:
    """Its messages, once it has ended."""
    heard: list[Message] = []
    until = time.monotonic() + 60
    while process.alive and time.monotonic() < until:
        heard += process.messages()
        time.sleep(0.01)
    return heard + list(process.messages())


@pytest.mark.parametrize("steps", [0, 3])
def test_niceness_applies_to_the_forked_process_only(steps: int) -> None:
    before = os.nice(0)
    process = NativeProcess("a test", lambda say: say({"nice": os.nice(0)}), nice=steps)
    assert ended(process) == [{"nice": min(19, before + steps)}]
    process.close()
    assert os.nice(0) == before


def test_an_exception_comes_back_with_its_name() -> None:
    def work(say: Say) -> None:
        raise ValueError("no such column")

    process = NativeProcess("a test", work)
    assert ended(process) == []
    with pytest.raises(NativeError, match="a test: ValueError: no such column"):
        process.raise_for_end()
    process.close()


def test_a_signal_is_reported_by_its_name() -> None:
    process = NativeProcess("a test", lambda say: os.kill(os.getpid(), signal.SIGKILL))
    assert ended(process) == []
    with pytest.raises(NativeCrash, match="a test died by SIGKILL"):
        process.raise_for_end()
    process.close()

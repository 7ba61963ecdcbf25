"""Time limits of tests hold on a slow or busy machine."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.waiting import cpu_limit, cpu_s, eventually, sooner_than

ELAPSED = re.compile(
    r"assert .*(monotonic|perf_counter|time\.time)\(\) - [\w.\[\]]+ <=? [\d_]+(\.\d+)?\b"
)


def test_no_test_compares_the_clock_with_a_number() -> None:
    """`tests.waiting` has what to use instead, and why."""
    assert ELAPSED.search("    assert time.monotonic() - began < 1.5  # woken")
    found = [
        f"{path.name}:{number}"
        for path in Path(__file__).parent.rglob("*.py")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if ELAPSED.search(line)
    ]
    assert not found


def burn(seconds: float) -> None:
    until = cpu_s() + seconds
    while cpu_s() < until:
        pass


def test_limits_fail_when_they_are_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.02 s"):
        eventually(lambda: False, within_s=0.02)
    with pytest.raises(AssertionError, match="of processor time"), cpu_limit(0.01):
        burn(0.02)
    with pytest.raises(AssertionError, match="longer"), sooner_than(2.0):
        pass
    now = time.monotonic()
    with pytest.raises(AssertionError, match="it waited"), sooner_than(30.0):
        monkeypatch.setattr(time, "monotonic", lambda: now + 30.0)

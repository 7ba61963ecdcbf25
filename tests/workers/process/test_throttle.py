"""Throttled reports of a run."""

from __future__ import annotations

import threading
import time

import pytest

from workers.process.throttle import NewestThrottle


def test_throttle_passes_the_first_at_once_and_the_newest_late() -> None:
    sent: list[tuple[int, float]] = []
    twice = threading.Event()

    def send(item: int) -> None:
        sent.append((item, time.monotonic()))
        if len(sent) == 2:
            twice.set()

    throttle = NewestThrottle(send, interval_s=0.1)
    for item in range(50):
        throttle.offer(item)
    assert [item for item, _ in sent] == [0]
    assert twice.wait(60)
    assert [item for item, _ in sent] == [0, 49]
    assert sent[1][1] - sent[0][1] >= 0.1
    throttle.offer(50)
    throttle.close()
    assert sent[-1][0] == 50, "close() sends what is pending"
    with pytest.raises(RuntimeError, match="closed"):
        throttle.offer(51)


def test_throttle_wants_an_interval() -> None:
    with pytest.raises(ValueError, match="interval > 0"):
        NewestThrottle(print, interval_s=0.0)

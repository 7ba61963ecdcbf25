"""Deadline of a search."""

from __future__ import annotations

import math
import time

from search.lns.deadline import Deadline


def test_without_a_time_it_never_comes() -> None:
    assert not Deadline().over()
    assert Deadline().left_s() == math.inf


def test_it_comes_once_and_leaves_nothing() -> None:
    over = Deadline(time.monotonic() - 1.0)
    assert over.over()
    assert over.left_s() == 0.0
    ahead = Deadline(time.monotonic() + 60.0)
    assert not ahead.over()
    assert 59.0 < ahead.left_s() <= 60.0


def test_stop_ends_it_earlier() -> None:
    events: list[str] = []
    deadline = Deadline(stop=lambda: bool(events))
    assert not deadline.over()
    events.append("stop")
    assert deadline.over()

"""Shared incumbents under a writer that never rests."""

from __future__ import annotations

import math
import time

import numpy as np

from search.domains.ilp.board import Place
from search.native import NativeProcess


def test_a_reader_never_sees_half_a_solution() -> None:
    n = 20_000
    place = Place(n)

    def write(say: object) -> None:
        for k in range(1, 20_000):
            value = -float(k)
            place.put(value, np.full(n, value))
            if k % 7 == 0:
                place.put_bound(value - 1)

    writer = NativeProcess("writer", write)
    seen, last = 0, math.inf
    deadline = time.monotonic() + 20
    while writer.alive and time.monotonic() < deadline:
        found = place.better_than(last)
        if found is None:
            continue
        objective, x = found
        assert (x == objective).all(), "objective and solution belong together"
        assert objective < last
        last = objective
        seen += 1
    writer.close()
    assert seen > 5


def test_nothing_is_there_before_the_first_put() -> None:
    place = Place(3)
    assert place.better_than(math.inf) is None
    assert place.bound == -math.inf
    place.put(2.0, np.array([1.0, 0.0, 1.0]))
    found = place.better_than(math.inf)
    assert found is not None
    assert found[0] == 2.0
    assert place.better_than(2.0) is None


def test_a_writer_killed_in_the_middle_is_only_not_seen() -> None:
    place = Place(2)
    place.put(1.0, np.array([1.0, 1.0]))
    place._head[0] += 1  # as if it had died between the two version writes
    place._numbers[0] = 0.5
    assert place.better_than(math.inf) is None

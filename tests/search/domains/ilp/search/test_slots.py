"""Shared incumbents under a writer that never rests."""

from __future__ import annotations

import math
import time

import numpy as np

from search.domains.ilp.search.slots import Place, Places
from search.isolation import NativeProcess


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


def test_several_places_are_read_as_one() -> None:
    one, other = Place(2), Place(2)
    places = Places(one, other)
    assert places.objective == math.inf
    assert places.better_than(math.inf) is None
    one.put(5.0, np.array([1.0, 0.0]))
    other.put(3.0, np.array([0.0, 1.0]))
    found = places.better_than(4.0)
    assert found is not None
    assert (places.objective, found[0], found[1].tolist()) == (3.0, 3.0, [0.0, 1.0])
    assert places.better_than(3.0) is None

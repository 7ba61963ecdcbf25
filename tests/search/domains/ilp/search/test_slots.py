"""Incumbent slots under a writer that writes all the time."""

from __future__ import annotations

import math
import time

import numpy as np

from search.domains.ilp.search.slots import IncumbentSlot, IncumbentSlots, RunSlots
from search.isolation import NativeProcess
from tests.search.models import random_cover


def test_a_reader_never_sees_half_a_solution() -> None:
    n = 20_000
    slot = IncumbentSlot(n)

    def write(say: object) -> None:
        for k in range(1, 20_000):
            value = -float(k)
            slot.put(value, np.full(n, value))
            if k % 7 == 0:
                slot.put_bound(value - 1)

    writer = NativeProcess("writer", write)
    seen, last = 0, math.inf
    deadline = time.monotonic() + 60
    while writer.alive and time.monotonic() < deadline:
        better = slot.better_than(last)
        if better is None:
            continue
        objective, x = better
        assert (x == objective).all(), "objective and solution belong together"
        assert objective < last
        last = objective
        seen += 1
    writer.close()
    assert seen > 5


def test_nothing_is_there_before_the_first_put() -> None:
    slot = IncumbentSlot(3)
    assert slot.better_than(math.inf) is None
    assert slot.bound == -math.inf
    slot.put(2.0, np.array([1.0, 0.0, 1.0]))
    better = slot.better_than(math.inf)
    assert better is not None
    assert better[0] == 2.0
    assert slot.better_than(2.0) is None


def test_a_writer_killed_in_the_middle_is_only_not_seen() -> None:
    slot = IncumbentSlot(2)
    slot.put(1.0, np.array([1.0, 1.0]))
    slot._head[0] += 1  # as if it had died between the two version writes
    slot._numbers[0] = 0.5
    assert slot.better_than(math.inf) is None


def test_several_slots_are_read_as_one() -> None:
    one, other = IncumbentSlot(2), IncumbentSlot(2)
    slots = IncumbentSlots(one, other)
    assert slots.objective == math.inf
    assert slots.better_than(math.inf) is None
    one.put(5.0, np.array([1.0, 0.0]))
    other.put(3.0, np.array([0.0, 1.0]))
    better = slots.better_than(4.0)
    assert better is not None
    assert (slots.objective, better[0], better[1].tolist()) == (3.0, 3.0, [0.0, 1.0])
    assert slots.better_than(3.0) is None


def test_a_run_has_a_slot_for_each_solver() -> None:
    slots = RunSlots(random_cover(5, 8, 0))
    slots.lns.put(3.0, np.ones(8))
    assert slots.lns.objective == 3.0
    assert slots.engine.objective == slots.jump.objective == math.inf
    assert slots.root_lp.pending

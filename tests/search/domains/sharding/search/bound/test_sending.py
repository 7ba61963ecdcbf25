"""The least exchange against an enumeration of all placements."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from search.domains.sharding.search.bound.sending import least_sending
from tests.search.domains.sharding.conftest import items_of
from trimtab.specs.sharding import Pin


def least_by_enumeration(
    dims: tuple[int, ...], rate: np.ndarray, pins: dict[int, tuple[int, ...]]
) -> float:
    """Whole tables only."""
    devices = len(rate)
    best = np.inf
    for place in itertools.product(range(devices), repeat=len(dims)):
        if any(place[i] not in allowed for i, allowed in pins.items()):
            continue
        columns = np.bincount(place, weights=dims, minlength=devices)
        best = min(best, float((rate * columns).max()))
    return best


@pytest.mark.parametrize(
    ("dims", "rate", "pins"),
    [
        ((64, 64, 64), (1.0, 1.0), {}),
        ((64, 32, 16, 16), (1.0, 1.0, 1.0), {}),
        ((64, 32, 16, 16), (1.0, 2.0), {}),
        ((64, 64, 32), (1.0, 1.0, 1.0), {0: (0,), 1: (0, 1), 2: (0,)}),
    ],
)
def test_the_bound_is_below_every_placement_of_whole_tables(
    dims: tuple[int, ...], rate: tuple[float, ...], pins: dict[int, tuple[int, ...]]
) -> None:
    items = items_of(
        *dims,
        devices=len(rate),
        no_split=tuple(f"t{i}" for i in range(len(dims))),
        pin=tuple(Pin(table=f"t{i}", devices=d) for i, d in pins.items()),
    )
    every = np.ones(len(items.options), dtype=bool)
    bound = least_sending(items, np.array(rate), every)
    least = least_by_enumeration(dims, np.array(rate), pins)
    assert 0 < bound <= least
    assert bound >= 0.6 * least


def test_one_table_more_than_devices_doubles_up() -> None:
    items = items_of(64, 64, 64, no_split=("t0", "t1", "t2"))
    every = np.ones(len(items.options), dtype=bool)
    assert least_sending(items, np.ones(2), every) == 128


def test_free_links_need_no_time() -> None:
    items = items_of(64)
    every = np.ones(len(items.options), dtype=bool)
    assert least_sending(items, np.zeros(2), every) == 0

"""Plans: joining shards of a table on a device, and the check of memory and pins."""

from __future__ import annotations

import numpy as np

from search.domains.sharding.encode.plan import Plan, fits, merged
from tests.search.domains.sharding.conftest import items_of
from trimtab.specs.sharding import Pin


def test_shards_of_a_table_on_a_device_are_joined() -> None:
    items = items_of(64, 32)
    find = items.options.find
    option = np.array(
        [find(0, 16), find(0, 16), find(0, 32), find(1, 32)], dtype=int
    ).ravel()
    plan = merged(items, Plan.of(option, np.array([0, 0, 1, 0]), "x"))
    widths = dict(
        zip(plan.device.tolist(), items.options.width[plan.option], strict=False)
    )
    assert sorted(items.options.width[plan.option].tolist()) == [32, 32, 32]
    assert len(plan.option) == 3
    assert widths[1] == 32
    assert plan.source == "x"


def test_shards_of_different_homes_stay_apart() -> None:
    items = items_of(64)
    half = int(items.options.find(0, 32))
    option, device = np.array([half, half]), np.array([0, 0])
    assert len(merged(items, Plan.of(option, device, "x")).option) == 1
    apart = Plan.of(option, device, "x", home=np.array([0, 1]))
    assert len(merged(items, apart).option) == 2


def test_fits_checks_memory_and_pins() -> None:
    items = items_of(64, 64, pin=(Pin(table="t0", devices=(1,)),))
    size = float(items.options.memory[items.whole[0]])
    plan = Plan.of(items.whole, np.array([1, 0]), "x")
    assert fits(items, plan, np.array([size, size]))
    assert not fits(items, plan, np.array([size, size - 1]))
    forbidden = Plan.of(items.whole, np.array([0, 1]), "x")
    assert not fits(items, forbidden, np.array([size, size]))

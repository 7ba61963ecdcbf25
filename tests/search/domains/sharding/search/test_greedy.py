"""The greedy grid against a plain loop over tables and devices, and the packer by one key."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.encode.plan import Plan, fits
from search.domains.sharding.search.greedy import greedy_grid, pack_by, paper_caps
from search.domains.sharding.search.loads import plan_cost
from tests.search.domains.sharding.conftest import Ready, items_of


def test_caps_of_the_paper() -> None:
    assert paper_caps(11) == pytest.approx([1.0 + 0.05 * k for k in range(11)])
    assert paper_caps(1).tolist() == [1.5]


def by_hand(small: Ready, option: np.ndarray, cap: float) -> list[int]:
    """Place the most expensive shard first, on the device of least cost with room."""
    model, options = small.model, small.setup.items.options
    single, embedding = model.single.mean(0), model.embedding[0]
    limit = cap * options.dim[option].sum() / model.devices
    shards: list[list[int]] = [[] for _ in range(model.devices)]
    device = [0] * len(option)
    for s in sorted(range(len(option)), key=lambda s: single[option[s]])[::-1]:
        cost = [
            float(model.heads[0](embedding[option[own]].sum(0))) if own else 0.0
            for own in shards
        ]
        room = [
            d
            for d, own in enumerate(shards)
            if options.dim[option[[*own, s]]].sum() <= limit + 1e-9
        ]
        device[s] = min(
            room, key=lambda d: (cost[d], options.memory[option[shards[d]]].sum())
        )
        shards[device[s]].append(s)
    return device


def test_the_grid_is_the_plain_loop(small: Ready) -> None:
    items, capacity = small.setup.items, small.setup.capacity
    option = items.whole
    graded = greedy_grid(items, small.model, option[None], capacity, np.array([1.5]))
    assert graded.device[0].tolist() == by_hand(small, option, 1.5)
    plan = Plan.of(option, graded.device[0], "grid")
    assert graded.cost[0] == pytest.approx(plan_cost(items, small.model, plan))


def test_more_caps_never_cost_more_and_a_stop_costs_infinity(small: Ready) -> None:
    items, capacity = small.setup.items, small.setup.capacity
    several = greedy_grid(items, small.model, items.whole[None], capacity, paper_caps(11))
    one = greedy_grid(items, small.model, items.whole[None], capacity, np.array([1.5]))
    assert several.cost[0] <= one.cost[0]
    no_room = greedy_grid(
        items, small.model, items.whole[None], 0 * capacity, paper_caps(3)
    )
    assert np.isinf(no_room.cost[0])


def test_packing_balances_the_key_within_memory() -> None:
    items = items_of(64, 48, 32, 16)
    key = items.options.memory[items.whole]
    device = pack_by(items, key, items.whole, np.full(2, np.inf))
    assert device is not None
    assert device.tolist() == [0, 1, 1, 0]


def test_best_fit_packs_tighter_than_the_least_load() -> None:
    items = items_of(12, 12, 8, 8, 8)
    key = items.options.memory[items.whole]
    tight = np.full(2, key.sum() / 2)
    assert pack_by(items, key, items.whole, tight) is None
    device = pack_by(items, key, items.whole, tight, best_fit=True)
    assert device is not None
    assert fits(items, Plan.of(items.whole, device, "x"), tight)

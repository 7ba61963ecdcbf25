"""Starting plans: baselines, forced splits, and packing with splits."""

from __future__ import annotations

import numpy as np

from search.domains.sharding.encode.plan import fits
from search.domains.sharding.search.starts import (
    BASELINES,
    baseline_keys,
    baseline_plans,
    forced_splits,
    pack_with_splits,
    split_heavy,
    torchrec_perf,
)
from tests.search.domains.sharding.conftest import Ready, items_of


def test_baselines_place_whole_tables_within_memory(small: Ready) -> None:
    items, capacity = small.setup.items, small.setup.capacity
    rng = np.random.default_rng(0)
    plans = dict(baseline_plans(items, small.setup.arrays, capacity, rng))
    assert tuple(plans) == BASELINES
    for plan in plans.values():
        assert plan is not None
        assert (plan.option == items.whole).all()
        assert fits(items, plan, capacity)
    none = dict(baseline_plans(items, small.setup.arrays, 0 * capacity, rng))
    assert set(none.values()) == {None}


def test_keys_are_the_formulas_of_the_heuristics(small: Ready) -> None:
    options, arrays = small.setup.items.options, small.setup.arrays
    keys = baseline_keys(small.setup.items, arrays, np.random.default_rng(0))
    table, width = options.member_table, options.width
    assert (keys["dim"] == width).all()
    assert (keys["size"] == arrays.rows[table] * width).all()
    pooling = arrays.lookups[table] / arrays.batch
    assert (keys["lookup"] == width * pooling).all()


def test_torchrec_penalises_narrow_blocks(small: Ready) -> None:
    arrays = small.setup.arrays
    table = np.zeros(3, dtype=int)
    narrow, medium, wide = torchrec_perf(arrays, table, np.array([60.0, 64.0, 128.0]))
    assert narrow > medium
    assert wide < 2 * medium


def test_forced_splits_halve_until_every_shard_fits() -> None:
    items = items_of(64, 32, 16)
    options = items.options
    capacity = np.full(2, 20 * 4000.0)
    shards = forced_splits(items, capacity)
    assert (options.memory[shards] <= capacity[0]).all()
    assert sorted(options.width[shards].tolist()) == [16] * 7


def test_heavy_shards_are_halved_to_the_limit() -> None:
    items = items_of(128, 16, 16)
    options = items.options
    cost = options.width.astype(float)
    shards = split_heavy(items, cost, items.whole, share=0.5, devices=4)
    limit = 0.5 * cost[items.whole].sum() / 4
    assert cost[shards].max() <= limit
    assert cost[shards].sum() == cost[items.whole].sum()


def test_tight_memory_is_packed_by_halving_the_largest() -> None:
    items = items_of(64, 64, 64)
    capacity = np.full(2, 96 * 4000.0)
    plan = pack_with_splits(items, items.options.memory, items.whole, capacity)
    assert plan is not None
    assert fits(items, plan, capacity)
    assert len(plan.option) > 3
    less = np.full(2, 95 * 4000.0)
    assert pack_with_splits(items, items.options.memory, items.whole, less) is None

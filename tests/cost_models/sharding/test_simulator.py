"""The simulated devices: cache misses by replay, monotonicity, the exchange by hand."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

from cost_models.sharding.calibration import targets
from cost_models.sharding.fabric import fabric_of
from cost_models.sharding.generator import meta_like
from cost_models.sharding.hardware import PROFILES
from cost_models.sharding.problem import Shards, TableArrays
from cost_models.sharding.simulator import (
    all_to_all_ms,
    compute_ms,
    eviction_time,
    expected_misses,
    step_cost,
)
from trimtab.specs.sharding import DeviceGroup, Fabric, Hardware, Optimizer


def lru_misses(rows: np.ndarray, sizes: np.ndarray, capacity: float) -> int:
    """Replay `rows` through a least-recently-used cache of `capacity` bytes."""
    cached: OrderedDict[int, float] = OrderedDict()
    used, misses = 0.0, 0
    for row, size in zip(rows.tolist(), sizes.tolist(), strict=True):
        if row in cached:
            cached.move_to_end(row)
            continue
        misses += 1
        cached[row] = size
        used += size
        while used > capacity:
            used -= cached.popitem(last=False)[1]
    return misses


@pytest.mark.parametrize("share", [0.02, 0.1, 0.4, 2.0])
def test_hits_are_those_of_an_lru_replay(share: float) -> None:
    """Two tables fill one cache; Che's approximation against a replay of the same accesses."""
    rng = np.random.default_rng(0)
    streams, unique, count, sizes = [], [], [], []
    for t, (rows, lookups, alpha, width) in enumerate(
        [(4_000, 40_000, 0.9, 64), (9_000, 25_000, 0.5, 128)]
    ):
        p = np.arange(1, rows + 1) ** -alpha
        drawn = rng.choice(rows, lookups, p=p / p.sum())
        streams.append(np.column_stack([drawn + t * 100_000, np.full(lookups, width)]))
        times, rows_of = np.unique(
            np.bincount(drawn)[np.unique(drawn)], return_counts=True
        )
        unique.append(rows_of.astype(float))
        count.append(times.astype(float))
        sizes.append(float(width))
    everything = np.concatenate(streams)
    everything = everything[rng.permutation(len(everything))]
    wide = max(map(len, unique))
    u = np.array([np.pad(x, (0, wide - len(x))) for x in unique])
    c = np.array([np.pad(x, (0, wide - len(x)), constant_values=1.0) for x in count])
    total = float((u.sum(1) * np.array(sizes)).sum())
    capacity = share * total
    tau = eviction_time(u, c, np.array(sizes), np.zeros(2, dtype=int), 1, capacity)
    misses = float(expected_misses(u, c, np.repeat(tau, 2)).sum())
    replayed = lru_misses(everything[:, 0], everything[:, 1].astype(float), capacity)
    assert misses == pytest.approx(replayed, rel=0.03)


@pytest.fixture(scope="module")
def arrays() -> TableArrays:
    return TableArrays.of(
        meta_like(60, np.random.default_rng(3)), batch=65_536, optimizer=Optimizer.SGD
    )


def cost(
    arrays: TableArrays,
    table: list[int],
    width: list[int],
    hardware: Hardware = Hardware.A100,
) -> float:
    shards = Shards(
        table=np.array(table),
        width=np.array(width),
        group=np.zeros(len(table), dtype=int),
        groups=1,
    )
    return float(compute_ms(arrays, shards, PROFILES[hardware]).total_ms[0])


def test_one_more_table_or_a_wider_one_never_costs_less(arrays: TableArrays) -> None:
    for t in range(0, 50, 5):
        few = cost(arrays, [t, t + 1], [64, 64])
        assert cost(arrays, [t, t + 1, t + 2], [64, 64, 64]) > few
        assert cost(arrays, [t, t + 1], [64, 128]) > few


def test_a_fused_operator_is_no_sum_of_its_parts(arrays: TableArrays) -> None:
    parts = [cost(arrays, [t], [64]) for t in range(10)]
    fused = cost(arrays, list(range(10)), [64] * 10)
    assert abs(sum(parts) / fused - 1) > 0.02
    launches = 10 * [cost(arrays, [0], [4])]
    assert fused < sum(parts) + sum(launches)


def test_halving_saves_little_below_a_sector_and_much_above_a_warp(
    arrays: TableArrays,
) -> None:
    narrow = [cost(arrays, [t], [4]) / cost(arrays, [t], [8]) for t in range(20)]
    wide = [cost(arrays, [t], [64]) / cost(arrays, [t], [128]) for t in range(20)]
    assert np.median(narrow) > 0.9
    assert np.median(wide) < 0.75


def test_an_empty_group_costs_nothing_and_order_does_not_matter(
    arrays: TableArrays,
) -> None:
    shards = Shards(
        table=np.array([3, 1, 2]),
        width=np.array([64, 32, 128]),
        group=np.array([1, 1, 1]),
        groups=3,
    )
    total_ms = compute_ms(arrays, shards, PROFILES[Hardware.A100]).total_ms
    assert total_ms[0] == total_ms[2] == 0.0
    assert total_ms[1] == pytest.approx(cost(arrays, [1, 2, 3], [32, 128, 64]))


def test_newer_hardware_is_faster(arrays: TableArrays) -> None:
    costs = [
        cost(arrays, [0, 1, 2], [64] * 3, h)
        for h in (Hardware.V100, Hardware.A100, Hardware.H100)
    ]
    assert costs == sorted(costs, reverse=True)


def test_exchange_is_set_by_the_widest_device_and_the_slow_level() -> None:
    one_node = fabric_of([DeviceGroup(count=8, memory_gib=1)], Fabric())
    two_nodes = fabric_of(
        [DeviceGroup(count=8, memory_gib=1)], Fabric(devices_per_node=4)
    )
    even = np.full(8, 100.0)
    skew = np.array([400.0, *([400 / 7] * 7)])
    assert all_to_all_ms(skew, 65_536, one_node) > 2 * all_to_all_ms(
        even, 65_536, one_node
    )
    assert all_to_all_ms(even, 65_536, two_nodes) > 3 * all_to_all_ms(
        even, 65_536, one_node
    )
    # 7/8 of 100 columns of 65,536 samples in fp32, at 300 GB/s x 0.82 (A100's NVLink).
    expected = 1e3 * (7 / 8 * 100 * 65_536 * 4 / (300e9 * 0.82) + one_node.latency_s)
    assert all_to_all_ms(even, 65_536, one_node) == pytest.approx(expected)


def test_waiting_is_in_the_forward_exchange() -> None:
    fabric = fabric_of([DeviceGroup(count=4, memory_gib=1)], Fabric())
    step = step_cost(np.array([5.0, 1.0, 2.0, 3.0]), np.full(4, 64.0), 4_096, fabric)
    assert step.forward_ms[1] == pytest.approx(step.forward_ms[0] + 4.0)
    assert step.total_ms == pytest.approx(5.0 + step.backward_ms[0] + step.forward_ms[0])


def test_calibration_residuals_stay_within_the_published_ones() -> None:
    ratios = [t for t in targets() if "bags" not in t.name]
    assert np.median([abs(t.residual) for t in ratios]) < 0.15
    assert max(abs(t.residual) for t in ratios) < 0.35

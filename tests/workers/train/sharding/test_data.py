"""Training data of the cost models: sets within their limits, priced by the oracle."""

from __future__ import annotations

import numpy as np
import pytest

from cost_models.sharding.hardware import PROFILES
from cost_models.sharding.problem import Shards, TableArrays
from cost_models.sharding.simulator import compute_ms
from trimtab.specs.sharding import Hardware, Optimizer, Table
from workers.train.sharding.data import augmented, conditioned_sets, draw_sets, price


def test_sets_respect_size_and_memory() -> None:
    memory = np.array([1.0, 2.0, 3.0, 4.0])
    config, start = draw_sets(np.random.default_rng(0), 200, memory, limit=6.0, most=3)
    assert len(start) == 201
    sizes = np.diff(start)
    assert set(sizes.tolist()) == {1, 2, 3}
    assert np.add.reduceat(memory[config], start[:-1]).max() <= 6.0


def test_tables_are_halved_down_to_a_multiple_of_4() -> None:
    pool = [Table(name="a", rows=10, dim=48), Table(name="b", rows=10, dim=4)]
    table, width = augmented(pool)
    assert list(zip(table.tolist(), width.tolist(), strict=True)) == [
        (0, 48),
        (0, 24),
        (0, 12),
        (1, 4),
    ]


def test_each_set_costs_as_one_device() -> None:
    pool = [Table(name=f"t{i}", rows=10_000, dim=64, pooling=5) for i in range(3)]
    arrays = TableArrays.of(pool, batch=1024, optimizer=Optimizer.SGD)
    table, width, start = np.array([0, 1, 2]), np.array([64, 32, 16]), np.array([0, 2, 3])
    cost = price(arrays, table, width, start, Hardware.A100)
    together = Shards(
        table=table[:2], width=width[:2], group=np.zeros(2, dtype=int), groups=1
    )
    alone = compute_ms(arrays, together, PROFILES[Hardware.A100]).total_ms
    assert cost[0] == pytest.approx(alone[0])
    assert len(cost) == 2


def test_conditioned_sets_are_complete() -> None:
    sets = conditioned_sets(80, 3, diverse_tables=20)
    assert len(sets) == len(sets.condition) == len(sets.start) - 1
    assert sets.start[-1] == len(sets.config)
    assert sets.config.max() < len(sets.features) == len(sets.physical)
    assert (sets.cost_ms > 0).all()
    first = sets.head(5)
    assert len(first) == 5
    assert len(first.config) == sets.start[5]

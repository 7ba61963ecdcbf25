"""Proofs by counting: single tables, sets of devices, and the least bytes of an item."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from search.domains.sharding.encode.setup import Setup, set_up
from search.domains.sharding.parse.problem import parse
from search.domains.sharding.search.infeasible import (
    affine_bytes,
    least_bytes,
    prove_infeasible,
)
from tests.search.domains.sharding.conftest import items_of
from trimtab.specs.sharding import (
    Constraints,
    DeviceGroup,
    MemoryModel,
    Optimizer,
    Pin,
    ShardingSpec,
    Table,
)

GIB_ROWS = 2**28  # rows of which a column takes 1 GiB in fp32


def setup(memory_gib: float, *dims: int, devices: int = 2, **rules: object) -> Setup:
    spec = ShardingSpec(
        tables=tuple(
            Table(name=f"t{i}", rows=GIB_ROWS, dim=dim) for i, dim in enumerate(dims)
        ),
        devices=(DeviceGroup(count=devices, memory_gib=memory_gib),),
        memory_model=MemoryModel.WEIGHTS,
        constraints=Constraints(**rules),
    )
    return set_up(parse(spec, {}))


def test_nothing_is_proved_when_the_bytes_suffice() -> None:
    assert prove_infeasible(setup(12.0, 8, 8)) is None


def test_all_devices_together_lack_bytes() -> None:
    proof = prove_infeasible(setup(7.0, 8, 8))
    assert proof is not None
    assert (
        "2 tables that must be on all devices take at least 16.00 GiB" in proof.argument
    )
    assert proof.missing_bytes == 2 * 2**30


def test_pinned_tables_lack_bytes_on_their_devices() -> None:
    pins = tuple(Pin(table=f"t{i}", devices=(1,)) for i in range(2))
    proof = prove_infeasible(setup(12.0, 8, 8, pin=pins))
    assert proof is not None
    assert "on devices 1 take at least" in proof.argument
    assert set(proof.tables) == {"t0", "t1"}


def test_no_cut_has_only_shards_that_fit() -> None:
    proof = prove_infeasible(setup(11.0, 20, devices=4, min_shard_dim=8))
    assert proof is not None
    assert "no cut into shards of 8 columns or more" in proof.argument
    assert proof.tables == ("t0",)


@pytest.mark.parametrize("optimizer", [Optimizer.SGD, Optimizer.ROWWISE_ADAGRAD])
def test_the_least_bytes_are_those_of_the_best_cut(optimizer: Optimizer) -> None:
    spec = ShardingSpec(
        tables=(Table(name="t", rows=1_000_000, dim=24),),
        devices=(DeviceGroup(count=2, memory_gib=1),),
        optimizer=optimizer,
    )
    items = set_up(parse(spec, {})).items
    options = items.options
    memory = dict(zip(options.width.tolist(), options.memory.tolist(), strict=True))
    constant, per_column = affine_bytes(items, 0)
    assert memory[24] == pytest.approx(constant + 24 * per_column)
    for room in (memory[24], memory[16], memory[8], memory[4]):
        cuts = [
            cut
            for count in range(1, 7)
            for cut in itertools.combinations_with_replacement(range(4, 25, 4), count)
            if sum(cut) == 24 and all(constant + w * per_column <= room + 1 for w in cut)
        ]
        best = min(sum(constant + w * per_column for w in cut) for cut in cuts)
        assert least_bytes(items, np.array([room]))[0] == pytest.approx(best)
    assert np.isinf(least_bytes(items_of(24), np.array([1.0]))[0])

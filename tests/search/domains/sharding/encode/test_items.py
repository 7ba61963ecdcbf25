"""Items and options: every allowed width, halves that add up, memory by the formula."""

from __future__ import annotations

import numpy as np
import pytest

from cost_models.sharding.problem import TableArrays
from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import (
    MAX_OPTIONS,
    build_items,
    options_by_width,
    shard_bytes,
)
from search.types import InvalidInput
from tests.search.domains.sharding.conftest import items_of
from trimtab.specs.sharding import (
    Constraints,
    MemoryModel,
    Optimizer,
    Pin,
    PlanShard,
    Table,
)


@pytest.mark.parametrize(
    ("dim", "least"), [(24, 4), (24, 8), (20, 4), (100, 16), (12, 8)]
)
def test_options_are_all_widths_that_leave_another_option(dim: int, least: int) -> None:
    items = items_of(dim, min_shard_dim=least)
    widths = set(items.options.width.tolist())
    cuts = {w for w in range(4, dim, 4) if w >= least and dim - w >= least}
    assert widths == {dim} | cuts
    assert items.options.width.tolist() == sorted(widths, reverse=True)


def test_half_and_rest_add_up_to_the_width() -> None:
    options = items_of(128, 100, 36, 4, no_split=("t2",)).options
    cut = options.half != NONE
    half, rest = options.half[cut], options.rest[cut]
    assert (options.width[half] + options.width[rest] == options.width[cut]).all()
    assert (options.item[half] == options.item[cut]).all()
    assert (options.width[half] - options.width[rest] <= 4).all()
    assert not cut[options.item == 2].any()
    assert not cut[options.item == 3].any()


def test_find_returns_the_option_or_none() -> None:
    items = items_of(64, 32)
    options = items.options
    assert (options.find(options.item, options.width) == np.arange(len(options))).all()
    assert options.find(1, 64) == NONE
    index = options_by_width(items)
    assert index[1][32] == items.whole[1]
    assert 64 not in index[1]


def test_a_group_is_one_item_with_the_memory_of_its_tables() -> None:
    items = items_of(64, 32, 16, together=(("t0", "t2"),))
    group = items.members.index((0, 2))
    option = items.whole[group]
    assert items.options.half[option] == NONE
    assert items.options.memory[option] == 1000 * 4 * (64 + 16)
    assert items.options.dim[option] == 64 + 16


def test_pins_limit_the_devices_of_an_item() -> None:
    items = items_of(64, 32, devices=3, pin=(Pin(table="t1", devices=(0, 2)),))
    assert items.allowed is not None
    assert items.allowed.tolist() == [[True] * 3, [True, False, True]]


def test_training_memory_has_state_indices_and_outputs() -> None:
    table = Table(name="t", rows=1000, dim=32, pooling=3, features=2)
    arrays = TableArrays.of([table], batch=64, optimizer=Optimizer.ADAM)
    (size,) = shard_bytes(arrays, np.array([0]), np.array([16]), MemoryModel.TRAINING)
    weights, state = 1000 * 16 * 4, 1000 * 16 * 8
    indices, outputs = 8 * 64 * (3 + 2), 2 * 64 * 2 * 16 * 4
    assert size == weights + state + indices + outputs


def test_huge_jobs_get_a_coarser_grid_for_their_widest_tables() -> None:
    tables = tuple(
        Table(name=f"t{i}", rows=10, dim=4096 if i < 600 else 32) for i in range(800)
    )
    arrays = TableArrays.of(tables, batch=64, optimizer=Optimizer.SGD)
    items = build_items(
        tables, arrays, Constraints(), devices=4, memory_model=MemoryModel.WEIGHTS
    )
    assert len(items.options) < 1.1 * MAX_OPTIONS
    assert items.step[0] > 4
    assert items.step[-1] == 4


def test_a_current_plan_with_other_widths_is_refused() -> None:
    shards = (
        PlanShard.model_construct(table="t0", offset=0, width=30, device=0),
        PlanShard.model_construct(table="t0", offset=30, width=34, device=1),
    )
    rules = Constraints.model_construct(current_plan=shards)
    tables = (Table(name="t0", rows=10, dim=64),)
    arrays = TableArrays.of(tables, batch=64, optimizer=Optimizer.SGD)
    with pytest.raises(InvalidInput, match="multiples of 4, got a shard of table 't0'"):
        build_items(tables, arrays, rules, devices=2, memory_model=MemoryModel.WEIGHTS)

"""Level starts: equal columns on every device, every column placed once."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.encode.plan import fits
from search.domains.sharding.search.level import even_columns, fill, level_plans
from tests.search.domains.sharding.conftest import items_of


@pytest.mark.parametrize("least", [4, 16, 48])
def test_level_starts_hold_every_column_once(least: int) -> None:
    rng = np.random.default_rng(least)
    dims = [int(rng.choice([12, 36, 64, 100, 128])) for _ in range(25)]
    items = items_of(*dims, devices=12, min_shard_dim=least, no_split=("t3", "t4"))
    options = items.options
    capacity = np.full(12, 2.0**30)
    plans = list(
        level_plans(
            items, options.dim, capacity, items.whole, caps=(1.0, 1.1), fast=False
        )
    )
    assert plans
    for plan in plans:
        columns = np.bincount(
            options.item[plan.option],
            weights=options.width[plan.option],
            minlength=len(items),
        )
        assert (columns == options.width[items.whole]).all(), plan.source
        narrowest = items.narrowest[options.item[plan.option]]
        assert (options.width[plan.option] >= narrowest).all()
    if least == 4:
        best = min(
            np.bincount(p.device, weights=options.dim[p.option], minlength=12).max()
            for p in plans
        )
        assert best <= max(even_columns(items, 12), 128)


@pytest.mark.parametrize(
    ("dims", "devices", "columns"), [((64, 64), 2, 64), ((100,), 8, 16)]
)
def test_even_columns_round_up_to_multiples_of_4(
    dims: tuple[int, ...], devices: int, columns: int
) -> None:
    assert even_columns(items_of(*dims, devices=devices), devices) == columns


def test_fill_respects_memory_before_the_cap() -> None:
    items = items_of(64, 64, 64)
    column = 4000.0
    capacity = np.array([160.0, 32.0]) * column
    load = items.options.dim.astype(float)
    plan = fill(items, load, capacity, items.whole, 1.0)
    assert plan is not None
    assert fits(items, plan, capacity)
    assert fill(items, load, capacity / 2, items.whole, 1.0) is None

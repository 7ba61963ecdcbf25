"""Pools, sets and look-ups: seeded, within limits, by the law they name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workers.train.sharding.collect.errors import CollectError
from workers.train.sharding.collect.random_sets import (
    DIMS,
    DrawLimits,
    TableConfig,
    draw_lookups,
    draw_pool,
    draw_set,
    fits,
    zipf_rows,
)

LIMITS = DrawLimits(
    seed=3, batch=64, pool=200, max_rows=1_000_000, max_pooling=50, max_gib=0.25
)


def test_the_pool_keeps_its_limits_and_uses_all_widths() -> None:
    pool = draw_pool(LIMITS)
    assert pool == draw_pool(LIMITS) != draw_pool(replace(LIMITS, seed=4))
    assert {t.dim for t in pool} == set(DIMS)
    for table in pool:
        assert 1_000 <= table.rows <= 1_000_000
        # exp(log(100)) rounds down.
        assert 100 <= table.active_rows <= table.rows or table.active_rows == 99
        assert 1 <= table.pooling <= 50
        assert 0 <= table.alpha <= 1.3
        assert TableConfig.of_row(table.as_row()) == table


def test_sets_have_1_to_15_tables_that_fit_and_do_not_depend_on_each_other() -> None:
    pool = draw_pool(LIMITS)
    sets = [draw_set(pool, i, LIMITS) for i in range(300)]
    assert {len(s) for s in sets} == set(range(1, 16))
    assert all(fits([pool[i] for i in s], LIMITS) for s in sets)
    assert draw_set(pool, 299, LIMITS) == sets[299]


def test_a_limit_that_no_set_meets_is_refused() -> None:
    limits = replace(LIMITS, max_gib=0.001, batch=2**20)
    with pytest.raises(CollectError, match=r"--max-gib 0\.001.*smaller --max-rows"):
        draw_set(draw_pool(limits), 0, limits)


@pytest.mark.parametrize(
    "bad", [{"batch": 0}, {"pool": 10**6}, {"max_rows": 10}, {"max_gib": float("nan")}]
)
def test_absurd_limits_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(CollectError, match="expected a number from"):
        replace(LIMITS, **bad)  # type: ignore[arg-type]


def test_lookups_are_as_tbe_takes_them() -> None:
    pool = draw_pool(LIMITS)
    places = [5, 9, 5]
    tables = [pool[i] for i in places]
    got = draw_lookups(tables, places, LIMITS)
    again = draw_lookups(tables, places, LIMITS)
    assert np.array_equal(got.indices, again.indices)
    assert len(got.offsets) == 3 * 64 + 1
    assert got.offsets[-1] == len(got.indices) == sum(got.counts)
    assert (np.diff(got.offsets) >= 0).all()
    ends = np.cumsum((0, *got.counts))
    for k, table in enumerate(tables):
        part = got.indices[ends[k] : ends[k + 1]]
        assert part.min() >= 0
        assert part.max() < table.rows
        assert got.unique[k] == len(set(part.tolist())) <= table.active_rows
        assert got.counts[k] == pytest.approx(64 * table.pooling, rel=0.3)
    assert not np.array_equal(
        got.indices[ends[0] : ends[1]], got.indices[ends[2] : ends[3]]
    )


def test_rows_follow_the_zipf_law_and_are_spread_over_the_table() -> None:
    table = TableConfig(rows=9_973, dim=4, pooling=1, alpha=1.1, active_rows=50)
    rows = zipf_rows(np.random.default_rng(0), table, 200_000)
    shares = np.sort(np.unique(rows, return_counts=True)[1])[::-1] / len(rows)
    law = np.arange(1, 51) ** -1.1
    law /= law.sum()
    assert len(shares) == 50
    assert np.abs(shares - law).max() < 0.004
    different = np.unique(rows)
    assert np.diff(different).min() > 50  # neighbours in rank are no neighbours in memory
    flat = zipf_rows(
        np.random.default_rng(0),
        replace(table, alpha=0.0, active_rows=table.rows),
        200_000,
    )
    assert len(np.unique(flat)) == pytest.approx(table.rows, rel=0.001)

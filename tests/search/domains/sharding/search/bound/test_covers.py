"""Cheapest covers against an enumeration of all partitions."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.search.bound.covers import Covers
from tests.search.domains.sharding.conftest import items_of


def partitions(total: int, widths: list[int]) -> list[list[int]]:
    if total == 0:
        return [[]]
    return [
        [w, *rest]
        for k, w in enumerate(widths)
        if w <= total
        for rest in partitions(total - w, widths[: k + 1])
        if not rest or rest[0] <= w
    ]


@pytest.mark.parametrize("least", [4, 8])
def test_cheapest_covers_are_the_least_over_all_partitions(least: int) -> None:
    dims = (24, 24, 20)
    items = items_of(*dims, min_shard_dim=least)
    options = items.options
    price = np.random.default_rng(least).uniform(-1, 5, len(options))
    covers = Covers(items)
    cheapest = covers.cheapest(price)
    for item, dim in enumerate(dims):
        own = options.item == item
        price_of = dict(
            zip(options.width[own].tolist(), price[own].tolist(), strict=True)
        )
        least_price = min(
            sum(price_of[w] for w in partition)
            for partition in partitions(dim, sorted(price_of))
        )
        assert covers.least(price)[item] == pytest.approx(least_price)
        assert price[cheapest[item]].sum() == pytest.approx(least_price)


def test_an_item_without_a_finite_cover_is_infinite() -> None:
    items = items_of(24, 20)
    price = np.where(items.options.item == 0, np.inf, 1.0)
    covers = Covers(items)
    assert covers.least(price).tolist() == [np.inf, 1.0]
    assert covers.cheapest(price)[0] == []

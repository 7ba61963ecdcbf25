"""Groups of interchangeable devices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from search.domains.sharding.search.bound.groups import groups_of, least_rest
from search.domains.sharding.search.loads import Loads
from tests.search.domains.sharding.conftest import Ready, items_of


def test_equal_devices_are_one_group(small: Ready) -> None:
    groups = groups_of(small.setup.items, small.model, small.setup.capacity)
    assert groups.count.tolist() == [4]
    assert groups.room.tolist() == [small.setup.capacity.sum()]


def test_classes_and_memory_separate_groups(two_nodes: Ready) -> None:
    items, capacity = two_nodes.setup.items, two_nodes.setup.capacity.copy()
    assert groups_of(items, two_nodes.model, capacity).count.tolist() == [2, 2]
    capacity[0] *= 2
    groups = groups_of(items, two_nodes.model, capacity)
    assert sorted(groups.count.tolist()) == [1, 1, 2]
    assert len(set(groups.of_device.tolist())) == 3


def test_the_exchange_of_any_plan_is_at_least_the_least(two_nodes: Ready) -> None:
    groups = groups_of(two_nodes.setup.items, two_nodes.model, two_nodes.setup.capacity)
    for seed in range(5):
        plan = two_nodes.random_plan(seed)
        loads = Loads(two_nodes.setup.items, two_nodes.model, plan)
        exchange = two_nodes.model.exchange(loads.dims)
        assert groups.exchange_least_ms <= exchange * (1 + 1e-9)
        assert groups.least_ms <= loads.compute[loads.compute > 0].min()


def test_other_models_are_refused(small: Ready) -> None:
    other = replace(small.model, exchange=lambda dims: dims.max(-1))
    with pytest.raises(TypeError, match="expected the convex exchange net"):
        groups_of(small.setup.items, other, small.setup.capacity)


def test_rest_is_the_sum_of_the_best_negative_rates() -> None:
    items = items_of(64, 32)
    options = items.options
    price = np.where(options.item == 0, -2.0 * options.width, 1.0 * options.width)
    every = np.ones(len(options), dtype=bool)
    assert least_rest(items, price[:, None], every).tolist() == [-128.0]

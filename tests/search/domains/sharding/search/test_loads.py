"""Loads of the devices under a plan."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.loads import Loads, plan_cost
from tests.search.domains.sharding.conftest import Ready


def test_loads_are_sums_over_the_shards(two_nodes: Ready) -> None:
    items, model, plan = two_nodes.setup.items, two_nodes.model, two_nodes.random_plan()
    loads = Loads(items, model, plan)
    for device in range(model.devices):
        own = plan.option[plan.device == device]
        kind = model.device_class[device]
        pooled = model.embedding[kind][own].sum(0)
        assert loads.pooled[device] == pytest.approx(pooled)
        assert loads.memory[device] == items.options.memory[own].sum()
        assert loads.dims[device] == items.options.dim[own].sum()
        assert loads.compute[device] == pytest.approx(float(model.heads[kind](pooled)))
    slowest = loads.compute.max() + model.exchange(loads.dims)
    assert plan_cost(items, model, plan) == pytest.approx(slowest)


def test_a_device_without_shards_computes_nothing(small: Ready) -> None:
    whole = small.setup.items.whole
    plan = Plan.of(whole, np.zeros(len(whole), dtype=int), "one device")
    loads = Loads(small.setup.items, small.model, plan)
    assert loads.compute[0] > 0
    assert loads.compute[1:].tolist() == [0, 0, 0]

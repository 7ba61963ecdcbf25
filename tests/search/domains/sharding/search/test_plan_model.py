"""The certified model: embeddings add up, and the exchange by its largest sender."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.search.plan_model import embed_in_parts
from tests.search.domains.sharding.conftest import Ready


def test_options_are_embedded_as_their_shards(two_nodes: Ready) -> None:
    options, setup, model = (
        two_nodes.setup.items.options,
        two_nodes.setup,
        two_nodes.model,
    )
    for kind, profile in enumerate(dict.fromkeys(p.name for p in setup.profiles)):
        hardware = next(p for p in setup.profiles if p.name == profile)
        direct = embed_in_parts(
            two_nodes.models.compute,
            setup.arrays,
            options.member_table,
            options.member_width,
            hardware,
        )
        assert model.embedding[kind] == pytest.approx(direct)
        assert model.single[kind] == pytest.approx(model.heads[kind](direct))


def test_the_largest_sender_estimates_the_exchange(small: Ready) -> None:
    exchange = small.model.exchange
    even = np.full(4, 100.0)
    assert exchange.of_largest(np.array(100.0)) == pytest.approx(exchange(even))
    uneven = np.array([160.0, 80.0, 80.0, 80.0])
    assert exchange.of_largest(np.array(160.0)) <= exchange(uneven) * (1 + 1e-9)


def test_slowness_is_relative_to_the_fastest_link(two_nodes: Ready) -> None:
    slowness = two_nodes.model.slowness
    assert slowness.min() == 1.0
    assert slowness[:2].max() < slowness[2:].min()


def test_unused_devices_compute_nothing(two_nodes: Ready) -> None:
    model = two_nodes.model
    pooled = np.ones((4, model.embedding.shape[2]))
    compute = model.compute(pooled, np.array([True, False, True, False]))
    assert (compute > 0).tolist() == [True, False, True, False]
    assert model.total(compute, np.zeros(4)) >= compute.max()

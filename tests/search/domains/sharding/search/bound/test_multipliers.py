"""Multipliers are projected onto the ranges in which they prove a bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from search.domains.sharding.search.bound.groups import groups_of
from search.domains.sharding.search.bound.multipliers import even
from tests.search.domains.sharding.conftest import Ready


def test_invalid_multipliers_become_valid(two_nodes: Ready) -> None:
    items = two_nodes.setup.items
    groups = groups_of(items, two_nodes.model, two_nodes.setup.capacity)
    start = even(items, groups, two_nodes.random_plan())
    wild = replace(
        start,
        weight=np.array([-1.0, 3.0]),
        slope=start.slope * 7 - 2,
        near=np.array([50.0, 50.0]),
        gets_near=np.array([20.0, -5.0]),
        memory=np.array([-1.0, 2.0]),
    )
    valid = wild.valid(groups)
    assert valid.weight.tolist() == [0.0, 1.0]
    assert valid.form.sum() == pytest.approx(1.0)
    assert ((valid.slope >= 0) & (valid.slope <= 1)).all()
    rate = valid.form @ groups.forms
    assert valid.near.sum() + valid.gets_near.sum() == pytest.approx(rate[0])
    assert (valid.gets_near >= 0).all()
    assert valid.memory.tolist() == [0.0, 2.0]


def test_valid_multipliers_stay(two_nodes: Ready) -> None:
    items = two_nodes.setup.items
    groups = groups_of(items, two_nodes.model, two_nodes.setup.capacity)
    start = even(items, groups, two_nodes.random_plan())
    again = start.valid(groups)
    assert again.weight == pytest.approx(start.weight)
    assert (again.slope == start.slope).all()


def test_affine_pieces_are_below_the_head(small: Ready) -> None:
    items = small.setup.items
    groups = groups_of(items, small.model, small.setup.capacity)
    multipliers = even(items, groups, small.random_plan())
    head, embedding = groups.heads[0], groups.embedding[0]
    compute, _ = multipliers.prices(items, groups)
    devices = groups.count[0]
    affine = multipliers.alphas(groups)[0] + compute[0] * devices
    assert (affine <= head(embedding) + 1e-9).all()

"""The repair makes any mask legal, by the check's own code."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from search.domains.antenna.design import Design
from search.domains.antenna.search.legalise import Rules
from search.domains.antenna.verify.legality import broken_rules
from tests.search.domains.antenna.jobs import job

CASES: list[dict[str, Any]] = [
    {},
    {"symmetric": True},
    {"connected": True},
    {"symmetric": True, "connected": True, "max_vias": 2},
    {"min_feature_mm": 6.0},
    {"min_feature_mm": 9.0, "symmetric": True, "connected": True},
    {"feed": [0, 5], "max_vias": 4},
]


@pytest.mark.parametrize("fields", CASES, ids=str)
def test_random_masks_become_legal(fields: dict[str, Any]) -> None:
    spec = job(grid={"cells": 9, "cell_mm": 3.0}, **fields)
    rules, rng = Rules(spec), np.random.default_rng(3)
    for _ in range(60):
        vias = tuple((int(i), int(j)) for i, j in rng.integers(0, 9, (spec.max_vias, 2)))
        mask = rng.random((9, 9)) < rng.random()
        feed = (int(rng.integers(9)), int(rng.integers(9)))
        repaired = rules.legal(Design(mask=mask, feed=feed, vias=vias))
        assert broken_rules(spec, repaired) == []
        again = rules.legal(repaired)
        assert again.key == repaired.key, "a legal design stays as it is"


def test_single_cells_are_removed_and_posts_stay() -> None:
    mask = np.zeros((6, 6), bool)
    mask[1, 1] = mask[4, 4] = True
    repaired = Rules(job()).legal(Design(mask=mask, feed=(4, 4)))
    assert np.argwhere(repaired.mask).tolist() == [[4, 4]]


@pytest.mark.parametrize("seed", range(4))
def test_many_at_once_are_as_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for symmetric, connected, feature in itertools.product(
        (False, True), (False, True), (0.0, 6.0)
    ):
        spec = job(
            symmetric=symmetric,
            connected=connected,
            min_feature_mm=feature,
            max_vias=2,
            feed=None,
        )
        rules = Rules(spec)
        designs = [
            Design(
                mask=rng.random((6, 6)) < rng.uniform(0.2, 0.8),
                feed=(int(rng.integers(6)), int(rng.integers(6))),
                vias=tuple((int(i), int(j)) for i, j in rng.integers(6, size=(3, 2))),
            )
            for _ in range(10)
        ]
        together = rules.legal_many(designs)
        assert [one.key for one in together] == [rules.legal(d).key for d in designs]
        assert all(broken_rules(spec, design) == [] for design in together)
    assert rules.legal_many([]) == []

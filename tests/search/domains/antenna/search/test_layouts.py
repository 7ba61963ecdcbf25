"""Layouts: legal, varied, and decoded from vectors as documented."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.antenna.search.layouts import Vectors, layouts_of
from search.domains.antenna.search.legalise import Rules
from search.domains.antenna.verify.legality import broken_rules
from tests.search.domains.antenna.jobs import job


@pytest.mark.parametrize("topology", ["pixels", "rectangles"])
def test_every_move_is_legal_and_changes_something(topology: str) -> None:
    spec = job(topology=topology, max_vias=2, min_feature_mm=0.0)
    layouts, rng = layouts_of(spec, Rules(spec)), np.random.default_rng(0)
    a, b = layouts.random(rng), layouts.random(rng)
    changed = 0
    for _ in range(50):
        mutated, crossed = layouts.mutate(a, rng), layouts.cross(a, b, rng)
        assert broken_rules(spec, mutated) == broken_rules(spec, crossed) == []
        changed += mutated.key != a.key
        a = mutated
    assert changed > 25


def test_a_vector_places_rectangles_and_feed() -> None:
    spec = job(feed=None, max_rectangles=2)
    vectors = Vectors(spec, Rules(spec))
    assert vectors.size == 2 * 5 + 2
    # 3 x 2 cells around (0.5, 0.5); the second rectangle is absent; feed in cell (2, 3).
    x = np.array([0.5, 0.5, 0.5, 0.34, 0, 0.1, 0.1, 0.5, 0.5, 0.4, 0.4, 0.5])
    design = vectors.decode(x)
    assert design.feed == (2, 3)
    assert design.mask.sum() == 6
    assert design.mask[2, 3]


def test_the_first_rectangle_covers_a_fixed_feed() -> None:
    spec = job(feed=[0, 5], max_rectangles=1)
    vectors, rng = Vectors(spec, Rules(spec)), np.random.default_rng(1)
    for _ in range(30):
        design = vectors.decode(vectors.random(rng))
        assert design.feed == (0, 5)
        assert design.mask[0, 5]

"""Outlines enclose exactly the metal."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.antenna.produce.outlines import outlines
from search.domains.antenna.search.layouts import Vectors
from search.domains.antenna.search.legalise import Rules
from tests.search.domains.antenna.jobs import design, job


def test_a_ring_with_an_island_has_three_loops() -> None:
    ring = design("##### #...# #.#.# #...# #####", (0, 0)).mask
    loops = outlines(ring)
    assert [loop.twice_area for loop in loops] == [50, -18, 2]
    assert [loop.hole for loop in loops] == [False, True, False]
    assert len(loops[0].points) == 4, "collinear points are removed"


def test_signed_areas_add_up_to_the_metal() -> None:
    spec = job(grid={"cells": 9, "cell_mm": 3.0})
    vectors, rng = Vectors(spec, Rules(spec)), np.random.default_rng(2)
    for _ in range(30):
        mask = vectors.decode(vectors.random(rng)).mask
        loops = outlines(mask)
        assert sum(loop.twice_area for loop in loops) == 2 * mask.sum()
        for loop in loops:
            points = loop.points
            for (x0, y0), (x1, y1) in zip(points, (*points[1:], points[0]), strict=True):
                assert (x0 == x1) != (y0 == y1)


def test_cells_that_touch_at_a_corner_are_refused() -> None:
    with pytest.raises(ValueError, match="corner"):
        outlines(np.eye(2, dtype=bool))

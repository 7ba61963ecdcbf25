from pathlib import Path
from typing import Any

import pytest

from search.domains.antenna.search.textbook import textbook_patch
from search.domains.antenna.verify.legality import broken_rules
from tests.search.domains.antenna.jobs import problem

THIN = {"height_mm": 1.524, "eps_r": 3.38, "size_mm": None}
NARROW = [{"f_lo_hz": 2.4e9, "f_hi_hz": 2.48e9}]


def test_the_patch_has_the_textbook_s_sides_and_feed(tmp_path: Path) -> None:
    """At 2.44 GHz: 33 x 41.5 mm, and 50 ohm about a third from the edge to the opposite one."""
    grid = {"cells": 19, "cell_mm": 2.5}
    made = textbook_patch(problem(tmp_path, board=THIN, bands=NARROW, grid=grid))
    rows, columns = made.mask.any(axis=1).nonzero()[0], made.mask.any(axis=0).nonzero()[0]
    assert (len(rows), len(columns)) == (13, 17)
    assert made.mask.sum() == 13 * 17
    assert made.feed[1] == 9
    assert 3 <= made.feed[0] - rows[0] <= 5


@pytest.mark.parametrize(
    "fields",
    [
        {"feed": [0, 5]},
        {"feed": [5, 0], "symmetric": True, "connected": True},
        {"min_feature_mm": 9.0},
        {"bands": [{"f_lo_hz": 1.0e9, "f_hi_hz": 1.1e9}]},
        {"board": {"height_mm": 0.2, "eps_r": 1.0}, "symmetric": True},
        {"topology": "rectangles", "max_vias": 2},
    ],
)
def test_the_patch_obeys_the_rules(tmp_path: Path, fields: dict[str, Any]) -> None:
    made = problem(tmp_path, **fields)
    patch = textbook_patch(made)
    assert broken_rules(made.spec, patch) == []
    assert patch.mask.sum() >= 4

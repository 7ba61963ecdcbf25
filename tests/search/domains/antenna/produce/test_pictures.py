"""Metal and reflection as values: what is drawn where, and the text that stands for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from search.domains.antenna.design import Design
from search.domains.antenna.produce.pictures import (
    live_pictures,
    metal_picture,
    s11_picture,
)
from search.drawing.pictures import draw_picture
from tests.search.domains.antenna.jobs import PATCH, problem
from trimtab.pictures import MOST_BYTES, read_pictures


def test_metal_has_y_up_and_posts_on_it(tmp_path: Path) -> None:
    spec = problem(tmp_path).spec
    mask = np.zeros((6, 6), bool)
    mask[1:3, 4] = True  # cells (1, 4) and (2, 4)
    picture = metal_picture(spec, Design(mask=mask, feed=(1, 4), vias=((2, 4),)))
    assert picture.rows == ("......", ".FV...", "......", "......", "......", "......")
    assert "2 of 6 x 6 cells" in picture.alt
    assert "[2, 4]" in picture.alt
    plain = metal_picture(spec, PATCH)
    assert sum(row.count("#") for row in plain.rows) == 16 - 1
    assert "no vias" in plain.alt
    assert "via to ground" not in [kind.name for kind in plain.classes]


def test_reflection_has_the_limits_and_the_worst_values(tmp_path: Path) -> None:
    avoid = [{"f_lo_hz": 5.5e9, "f_hi_hz": 5.6e9, "s11_min_db": -3.0}]
    spec = problem(tmp_path, avoid=avoid).spec
    frequencies = np.linspace(5.4e9, 6.4e9, 101)
    s11 = np.where(frequencies < 5.8e9, 0.5, 0.1 * np.exp(1j))
    s11[60] = 0.25  # 6.0 GHz, an edge of the band
    picture = s11_picture(spec, {"a": (frequencies, s11)})
    assert [region.x for region in picture.regions] == [(6.0, 6.2), (5.5, 5.6)]
    assert picture.regions[0].y == (-10.0, 0.0)
    assert picture.regions[1].y == (-30.0, -3.0)
    assert "-12.0 dB in 6 to 6.2 GHz: at most -10 dB" in picture.alt
    assert "-6.0 dB in 5.5 to 5.6 GHz: at least -3 dB" in picture.alt
    assert "nan" not in draw_picture(picture)


def test_pictures_of_the_largest_job_are_accepted(tmp_path: Path) -> None:
    bands = [{"f_lo_hz": (2 + i) * 1e9 + 1, "f_hi_hz": (2.9 + i) * 1e9} for i in range(4)]
    avoid = [
        {"f_lo_hz": (6 + i) * 1e8 * 2, "f_hi_hz": (6.5 + i) * 1e8 * 2} for i in range(3)
    ]
    made = problem(
        tmp_path,
        bands=bands,
        avoid=avoid,
        grid={"cells": 19, "cell_mm": 2.0},
        board={"size_mm": 60.0},
    )
    design = Design(mask=np.ones((19, 19), bool), feed=(0, 0))
    pictures = live_pictures(made, design, lambda x: np.exp(1j * 9 * x))  # type: ignore[arg-type]
    values = json.loads(json.dumps([p.model_dump(mode="json") for p in pictures]))
    assert len(read_pictures(values)) == 2
    assert len(json.dumps(values)) < MOST_BYTES / 2
    assert len(live_pictures(made, design, None)) == 1

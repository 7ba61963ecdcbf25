"""Small antenna jobs: a grid of 6 cells, a few solves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from search.domains.antenna.design import Design
from search.domains.antenna.parse import AntennaProblem, parse
from trimtab.specs.antenna import AntennaSpec

BAND = {"f_lo_hz": 6.0e9, "f_hi_hz": 6.2e9}


def job(**fields: Any) -> AntennaSpec:
    """A job that ends by itself within a second."""
    small = {
        "bands": [BAND],
        "grid": {"cells": 6, "cell_mm": 3.0},
        "board": {"size_mm": 30.0},
        "coarse_solves": 40,
        "fine_solves": 3,
        "verify_runs": 0,
        "margin_db": 1.0,
    }
    return AntennaSpec(**{**small, **fields})


def problem(folder: Path, **fields: Any) -> AntennaProblem:
    return parse(job(**fields), {}, folder)


def design(rows: str, feed: tuple[int, int], *vias: tuple[int, int]) -> Design:
    """A design from rows of # and ., the first at the lowest y."""
    mask = np.array(
        [[cell == "#" for cell in row] for row in rows.split()], bool
    ).T.copy()
    return Design(mask=mask, feed=feed, vias=vias)


PATCH = design("...... .####. .####. .####. .####. ......", (2, 2))

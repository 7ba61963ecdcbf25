"""Problem of a job."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.domains.antenna.parse import band_points
from search.types import InvalidInput
from tests.search.domains.antenna.jobs import problem


def test_a_thick_slab_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"board.height_mm: expected at most a quarter"
    ):
        problem(
            tmp_path,
            board={"height_mm": 8.0, "eps_r": 10.0},
            grid={"cells": 8, "cell_mm": 1.0},
        )


def test_tables_reach_beyond_the_bands(tmp_path: Path) -> None:
    low, high = problem(tmp_path).range_hz
    assert low < 6.0e9 * 0.95
    assert high > 6.2e9 * 1.05
    frequencies = problem(tmp_path).frequencies_hz
    assert (frequencies[0], frequencies[-1]) == (low, high)


def test_a_narrow_band_is_judged_more_densely_than_the_tables() -> None:
    points = band_points(5.0e9, 5.02e9)
    assert (points[0], points[-1]) == (5.0e9, 5.02e9)
    assert np.diff(points).max() < 1e6
    assert np.diff(band_points(5e9, 6e9)).max() <= 5e6 * (1 + 1e-9)

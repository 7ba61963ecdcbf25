"""A-priori estimate."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.domains.antenna.encode import estimate
from search.domains.antenna.search.textbook import textbook_patch
from search.domains.antenna.verify.fine import solve_fine
from tests.search.domains.antenna.jobs import problem


def test_bandwidth_grows_with_height_and_falls_with_permittivity(tmp_path: Path) -> None:
    def patch(**board: float) -> float:
        return estimate(problem(tmp_path, board=board)).patch_bandwidths[0]

    assert patch(height_mm=3.0) > patch(height_mm=1.5)
    assert patch(eps_r=2.5) > patch(eps_r=4.4)
    # 3.77 (2.2-1)/2.2² h/λ₀ at 6.1 GHz, plus tan δ/√2
    assert patch(height_mm=3.175) == pytest.approx(
        3.77 * 1.2 / 4.84 * 0.0646 + 0.0007, rel=0.01
    )


def test_a_wide_band_and_a_small_grid_are_warned_of(tmp_path: Path) -> None:
    wide = problem(tmp_path, bands=[{"f_lo_hz": 3e9, "f_hi_hz": 5e9}])
    warnings = " ".join(estimate(wide).warnings)
    assert "50.0% wide" in warnings
    assert "half wavelengths long" in warnings
    assert estimate(problem(tmp_path, grid={"cells": 8, "cell_mm": 2.5})).warnings == []


@pytest.mark.parametrize(("f_hz", "cell_mm"), [(2.44e9, 6.0), (1.0e9, 14.0)])
def test_the_efficiency_of_a_patch_is_that_of_the_field_solver(
    tmp_path: Path, f_hz: float, cell_mm: float
) -> None:
    """On FR-4 of 1.6 mm: 37 % at 2.44 GHz, 19 % at 1 GHz."""
    made = problem(
        tmp_path,
        board={"eps_r": 4.4, "tan_d": 0.02, "height_mm": 1.6, "size_mm": None},
        bands=[{"f_lo_hz": f_hz * 0.998, "f_hi_hz": f_hz * 1.002}],
        grid={"cells": 6, "cell_mm": cell_mm},
    )
    estimated = estimate(made)
    solved = solve_fine(made, textbook_patch(made)).far_field_at(f_hz).efficiency
    assert estimated.patch_efficiencies[0] == pytest.approx(solved, rel=0.25)
    assert len(estimated.loss_warnings) == (solved < 0.3)


def test_a_band_that_touches_one_to_avoid_has_a_bound_on_its_margin(
    tmp_path: Path,
) -> None:
    band, beside = (
        {"f_lo_hz": 6.0e9, "f_hi_hz": 6.2e9},
        {"f_lo_hz": 6.2e9, "f_hi_hz": 6.3e9},
    )
    touching = problem(tmp_path, bands=[band], avoid=[beside])
    (sentence,) = estimate(touching).warnings
    assert "bands[0] and avoid[0] meet at 6.2 GHz" in sentence
    assert "no margin above -3.5 dB exists; leave a gap" in sentence
    apart = problem(tmp_path, bands=[band], avoid=[{**beside, "f_lo_hz": 6.25e9}])
    assert estimate(apart).warnings == []

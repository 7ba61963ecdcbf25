"""Reasons in words."""

from __future__ import annotations

from pathlib import Path

from search.domains.antenna.encode import estimate
from search.domains.antenna.search.score import Score
from search.domains.antenna.search.summary import reason_of
from tests.search.domains.antenna.jobs import problem


def test_the_reason_depends_on_the_margin(tmp_path: Path) -> None:
    made = problem(tmp_path, grid={"cells": 8, "cell_mm": 2.5})

    def reason(margin: float) -> str:
        score = Score(
            band_margins_db=(margin,), efficiency_margins_db=(), guide_db=margin
        )
        return reason_of(made, estimate(made), score)

    assert "is reached in every band" in reason(1.5)
    assert "0.50 dB of the 1 dB asked for" in reason(0.5)
    assert "misses the requirements by 2.00 dB; allow more" in reason(-2.0)


FR4 = {"eps_r": 4.4, "tan_d": 0.02, "height_mm": 1.6, "size_mm": 60.0}
WIFI = [{"f_lo_hz": 2.4e9, "f_hi_hz": 2.4835e9}]


def test_a_missed_efficiency_is_named_with_its_own_reason(tmp_path: Path) -> None:
    """On FR-4 the band is met from loss: advice about its width would lead astray."""
    grid = {"cells": 12, "cell_mm": 3.0}
    made = problem(tmp_path, board=FR4, bands=WIFI, grid=grid, min_efficiency=0.5)
    score = Score(band_margins_db=(3.0,), efficiency_margins_db=(-1.2,), guide_db=-1.2)
    reason = reason_of(made, estimate(made), score)
    assert "by 1.20 dB (efficiency in bands[0] 37.9%, 50.0% asked for)" in reason
    assert "radiates about 37% of the power that it accepts, 50% are asked for" in reason
    assert "wide" not in reason


def test_several_requirements_are_told_apart(tmp_path: Path) -> None:
    avoid = [{"f_lo_hz": 5.0e9, "f_hi_hz": 5.2e9}]
    made = problem(tmp_path, avoid=avoid)
    score = Score(band_margins_db=(1.0, -0.5), efficiency_margins_db=(), guide_db=-0.5)
    assert "0.50 dB (avoid[0] by 0.50 dB)" in reason_of(made, estimate(made), score)

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

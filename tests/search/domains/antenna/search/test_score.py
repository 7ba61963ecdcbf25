"""Margins of a response."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.domains.antenna.search.score import Scorer
from solvers.field.rational import Rational
from tests.search.domains.antenna.jobs import problem

AVOID = [{"f_lo_hz": 5.5e9, "f_hi_hz": 5.6e9}]


def constant(level_db: float) -> Rational:
    value = 10 ** (level_db / 20)
    return Rational(
        nodes=np.array([0.5]),
        values=np.array([value], complex),
        weights=np.ones(1, complex),
    )


def test_a_flat_response_has_the_same_margin_everywhere(tmp_path: Path) -> None:
    scorer = Scorer(problem(tmp_path, avoid=AVOID))
    score = scorer.score(constant(-12.0))
    assert score.band_margins_db == pytest.approx((2.0, -9.0))
    assert score.margin_db == pytest.approx(-9.0)


def test_the_guide_prefers_a_better_mean_at_equal_worst_margin(tmp_path: Path) -> None:
    scorer = Scorer(problem(tmp_path))
    low, high = scorer.score(constant(-8.0)), scorer.score(constant(-9.0))
    assert high.guide_db > low.guide_db


def test_a_missing_efficiency_costs_margin(tmp_path: Path) -> None:
    scorer = Scorer(problem(tmp_path, min_efficiency=0.5))
    assert scorer.score(constant(-20.0), (0.25,)).margin_db == pytest.approx(
        -3.01, abs=0.01
    )
    assert scorer.score(constant(-20.0), (0.5,)).margin_db == pytest.approx(0.0, abs=1e-9)


def test_a_peak_between_table_points_is_seen(tmp_path: Path) -> None:
    made = problem(tmp_path)
    highest = made.frequencies_hz.max()
    # A pole 1 MHz above the real axis at 6.1 GHz, between two points of the tables.
    at = 6.1e9 / highest
    nodes = np.array([0.8, at + 1e-5])
    peaked = Rational(
        nodes=nodes,
        values=np.array([0.1, 0.9], complex),
        weights=np.array([1.0, -1e-5 / 0.1]).astype(complex),
    )
    assert Scorer(made).score(peaked).margin_db < 9.0

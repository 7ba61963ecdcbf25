"""Sampled bands score as densely swept ones do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from search.domains.antenna.search.samples import BandSamples
from tests.search.domains.antenna.jobs import job

AVOID = {"f_lo_hz": 6.4e9, "f_hi_hz": 6.5e9, "s11_min_db": -3.0}


def resonance(frequencies_hz: Any, centre_hz: float, q: float) -> Any:
    """Admittance of a parallel resonance of 50 ohm."""
    detuning = frequencies_hz / centre_hz - centre_hz / frequencies_hz
    return (1 + 1j * q * detuning) / 50


@pytest.mark.parametrize("centre", [5.9e9, 6.05e9, 6.1e9, 6.3e9])
@pytest.mark.parametrize("q", [5.0, 20.0, 60.0])
def test_margins_are_those_of_a_dense_sweep(centre: float, q: float) -> None:
    samples = BandSamples(job(avoid=[AVOID]))
    table, guides = samples.margins(
        samples.reflections(resonance(samples.frequencies_hz, centre, q))[None]
    )
    for number, (low, high, sign, limit) in enumerate(
        [(6.0e9, 6.2e9, 1, -10), (6.4e9, 6.5e9, -1, -3)]
    ):
        y = resonance(np.linspace(low, high, 501), centre, q)
        level = 20 * np.log10(np.maximum(np.abs(samples.reflections(y)), 1e-6))
        assert table[0, number] == pytest.approx((sign * (limit - level)).min(), abs=0.3)
    assert abs(guides[0] - table.min()) <= 0.1 * max(6.0, -table.min())


def test_edges_are_sampled_and_widened_by_at_most_a_quarter_of_a_gap() -> None:
    plain = BandSamples(job()).frequencies_hz
    assert (plain.min(), plain.max()) == pytest.approx((6.0e9, 6.2e9))
    wide = BandSamples(job(), widened=0.01).frequencies_hz
    assert (wide.min(), wide.max()) == pytest.approx((5.94e9, 6.262e9))
    near = {"f_lo_hz": 6.21e9, "f_hi_hz": 6.3e9}
    both = BandSamples(job(avoid=[near]), widened=0.01).frequencies_hz
    assert both[both < 6.205e9].max() == pytest.approx(6.2025e9)


def test_efficiency_counts_as_a_margin() -> None:
    samples = BandSamples(job(min_efficiency=0.5))
    s11 = np.zeros(len(samples.frequencies_hz), complex)
    assert samples.score(s11, [0.5]).margin_db == pytest.approx(0.0)
    assert samples.score(s11, [0.25]).margin_db == pytest.approx(-3.01, abs=0.01)
    assert samples.score(s11, [0.25]).guide_db < samples.score(s11, [0.5]).guide_db

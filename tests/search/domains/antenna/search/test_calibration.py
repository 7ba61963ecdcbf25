"""A correction recovers what was done to a response, and predicts others like it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from search.domains.antenna.search.calibration import CalibratedSamples, calibrate
from tests.search.domains.antenna.jobs import job

SPEC = job()
FREQUENCIES = np.linspace(5.4e9, 6.8e9, 201)


def s11_of(z: Any) -> Any:
    return (z - 50) / (z + 50)


def resonant(f: Any, centre: float = 6.0e9, q: float = 12.0) -> Any:
    """Impedance of a parallel resonance."""
    return 60 / (1 + 1j * q * (f / centre - centre / f))


def shifted(f: Any, centre: float) -> Any:
    """The second solver: everything 1.5 % lower, and 0.1 nH at the port."""
    return resonant(f * 1.015, centre) + 2j * np.pi * f * 0.1e-9


@pytest.mark.parametrize("centre", [5.8e9, 6.0e9, 6.2e9])
def test_scale_and_inductance_are_found(centre: float) -> None:
    found = calibrate(
        SPEC,
        FREQUENCIES,
        s11_of(shifted(FREQUENCIES, centre)),
        lambda f: s11_of(resonant(f, centre)),
    )
    assert found.scale == pytest.approx(1.015, abs=1e-3)
    assert found.inductance_h == pytest.approx(0.1e-9, abs=2e-11)
    assert np.abs(found.rest).max() < 1e-2


def test_an_equal_response_needs_no_correction() -> None:
    plain = s11_of(resonant(FREQUENCIES))
    found = calibrate(SPEC, FREQUENCIES, plain, lambda f: s11_of(resonant(f)))
    assert (found.scale, found.inductance_h) == (1.0, pytest.approx(0.0, abs=1e-15))


def test_corrected_samples_predict_a_design_that_differs() -> None:
    found = calibrate(
        SPEC,
        FREQUENCIES,
        s11_of(shifted(FREQUENCIES, 6.0e9)) + 0.02,
        lambda f: s11_of(resonant(f)),
    )
    samples = CalibratedSamples(SPEC, found)
    other = 6.15e9
    predicted = samples.reflections(1 / resonant(samples.solved_frequencies_hz, other))
    actual = s11_of(shifted(samples.frequencies_hz, other)) + 0.02
    assert np.abs(predicted - actual).max() < 0.03

"""Correction of the fine solver near one design, from the second solver's answer.

Space mapping (Bandler, Cheng, Dakroury et al., IEEE Trans. Microw. Theory Tech. 52, 2004): the
frequencies of the fine response are scaled, an inductance is added to the port (input mapping), and
what difference is left at each frequency is added to S11 (output mapping). The correction is exact
at the design that was simulated, and holds for designs that differ little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.search.samples import BandSamples
from trimtab.specs.antenna import AntennaSpec

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Response = Callable[[Real], Complex]
SCALES = np.linspace(0.97, 1.03, 61)
INDUCTANCES_H = np.linspace(-0.3e-9, 0.3e-9, 31)
# Of the band on each side that the fit looks at: resonances lie beside it.
_BESIDE = 0.03


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Correction of fine responses: at f they behave as the fine solver's at f · scale."""

    scale: float
    inductance_h: float
    frequencies_hz: Real  # of the rest, ascending
    rest: Complex  # S11 of the second solver minus the mapped one

    def mapped(self, frequencies_hz: Real, s11: Complex, reference_ohm: float) -> Complex:
        """Return S11 with the port's inductance; `s11` was solved at f · scale."""
        with np.errstate(divide="ignore", invalid="ignore"):
            z = reference_ohm * (1 + s11) / (1 - s11)
            z = z + 2j * np.pi * frequencies_hz * self.inductance_h
            mapped = (z - reference_ohm) / (z + reference_ohm)
        # An open port stays open.
        return np.where(np.isfinite(mapped), mapped, s11)

    def rest_at(self, frequencies_hz: Real) -> Complex:
        """Return the rest between its frequencies."""
        return np.asarray(
            np.interp(frequencies_hz, self.frequencies_hz, self.rest.real)
            + 1j * np.interp(frequencies_hz, self.frequencies_hz, self.rest.imag)
        )


def calibrate(
    spec: AntennaSpec, frequencies_hz: Real, second: Complex, fine: Response
) -> Calibration:
    """Return the correction that brings the fine response nearest to the second solver's.

    second: S11 of the second solver at `frequencies_hz`, ascending; fine: of the fine solver. Least
    mean |ΔS11| in and beside the bands.
    """
    edges = [(row.f_lo_hz, row.f_hi_hz) for row in spec.bands]
    edges += [(row.f_lo_hz, row.f_hi_hz) for row in spec.avoid]
    near = np.zeros(len(frequencies_hz), bool)
    for low, high in edges:
        near |= (frequencies_hz >= low * (1 - _BESIDE)) & (
            frequencies_hz <= high * (1 + _BESIDE)
        )
    at, measured = frequencies_hz[near], second[near]
    best: tuple[float, Calibration] | None = None
    for scale in sorted(SCALES, key=lambda value: abs(value - 1)):
        solved = fine(at * scale)
        for inductance in INDUCTANCES_H:
            tried = Calibration(
                scale=float(scale),
                inductance_h=float(inductance),
                frequencies_hz=at,
                rest=np.zeros(len(at), complex),
            )
            mapped = tried.mapped(at, solved, spec.z0_ohm)
            error = float(np.abs(measured - mapped).mean())
            # A tie goes to the smaller change.
            if best is None or error < best[0] - 1e-9:
                best = (
                    error,
                    Calibration(
                        scale=tried.scale,
                        inductance_h=tried.inductance_h,
                        frequencies_hz=at,
                        rest=measured - mapped,
                    ),
                )
    assert best is not None
    return best[1]


class CalibratedSamples(BandSamples):
    """Band samples that predict the second solver from the fine one."""

    def __init__(self, spec: AntennaSpec, calibration: Calibration) -> None:
        super().__init__(spec)
        self._calibration = calibration
        self._rest = calibration.rest_at(self.frequencies_hz)

    @property
    def solved_frequencies_hz(self) -> Real:
        """Frequencies at which the fine solver is asked."""
        return self.frequencies_hz * self._calibration.scale

    def reflections(self, admittances: Complex) -> Complex:
        """Return the predicted S11 of the second solver."""
        s11 = super().reflections(admittances)
        mapped = self._calibration.mapped(self.frequencies_hz, s11, self.reference_ohm)
        return mapped + self._rest

"""Tables and limits that a search needs before it begins."""

from __future__ import annotations

import math
from dataclasses import dataclass

from search.domains.antenna.parse import AntennaProblem
from solvers.field.board import C0, MU0
from trimtab.specs.antenna import AntennaBoard, AntennaSpec

_LOSSY = 0.3  # efficiency below which a match is said to be mostly loss


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A-priori figures of a board, from textbook formulas."""

    cells_per_wavelength: float
    electrical_size: float  # side of the grid in free-space wavelengths, lowest frequency
    electrical_height: float  # of the slab in free-space wavelengths, highest frequency
    patch_bandwidths: tuple[float, ...]  # of one patch, relative, for each band
    band_widths: tuple[float, ...]  # asked for, relative
    patch_efficiencies: tuple[float, ...]  # of one patch, in each band
    least_efficiency: float  # asked for
    half_waves: tuple[float, ...]  # side of the grid in half wavelengths, in each band
    contradictions: tuple[str, ...] = ()  # a sentence for each edge with two limits

    @property
    def warnings(self) -> list[str]:
        """Return a sentence for each band that one patch of this board, or none, does not serve."""
        return [*self.band_warnings, *self.loss_warnings]

    @property
    def loss_warnings(self) -> list[str]:
        """Return a sentence for each band in which a patch dissipates most of its power."""
        floor = self.least_efficiency or _LOSSY
        asked = (
            f"{floor:.0%} are asked for"
            if self.least_efficiency
            else "a match is mostly loss; min_efficiency requires more"
        )
        return [
            f"bands[{index}]: a single patch on this board radiates about {efficiency:.0%} of the "
            f"power that it accepts, {asked}; a thicker board or one with less loss radiates more"
            for index, efficiency in enumerate(self.patch_efficiencies)
            if efficiency < floor
        ]

    @property
    def band_warnings(self) -> list[str]:
        """Return a sentence for each band that one patch, or no antenna, is matched in."""
        sentences = list(self.contradictions)
        if self.cells_per_wavelength < 10:
            sentences.append(
                f"{self.cells_per_wavelength:.2g} cells per wavelength: the coarse solver is "
                "accurate to a few per cent in frequency only; use smaller cells"
            )
        for index, (width, patch, halves) in enumerate(
            zip(self.band_widths, self.patch_bandwidths, self.half_waves, strict=True)
        ):
            if width > patch:
                sentences.append(
                    f"bands[{index}] is {width:.1%} wide, a single patch on this board is matched "
                    f"over about {patch:.1%}: several resonances must combine; a thicker board or "
                    "a lower permittivity widens them"
                )
            if halves < 1:
                sentences.append(
                    f"bands[{index}]: the grid is {halves:.2f} half wavelengths long in the "
                    "substrate, too short for a resonant patch; use a larger grid"
                )
        return sentences


def encode(problem: AntennaProblem) -> Estimate:
    """Compute the tables of the fine solver, and what a patch of this board can reach."""
    _ = problem.fine
    return estimate(problem)


def estimate(problem: AntennaProblem) -> Estimate:
    """Return the a-priori estimate.

    Bandwidth of a square patch at a voltage standing-wave ratio of 2:
    3.77 (ε_r − 1)/ε_r² · h/λ₀ (Balanis, Antenna Theory, 4th ed., section 14.6), plus what its
    losses add, tan δ/√2; at ε_r near 1 the factor (ε_r − 1)/ε_r² is taken at its maximum.
    """
    spec = problem.spec
    eps, height = spec.board.eps_r, spec.board.height_mm * 1e-3
    factor = (eps - 1) / eps**2 if eps > 2 else 0.25
    centres = [(band.f_lo_hz + band.f_hi_hz) / 2 for band in spec.bands]
    size = spec.size_mm * 1e-3
    efficiencies = [_patch_efficiency(spec.board, f, factor) for f in centres]
    return Estimate(
        cells_per_wavelength=spec.cells_per_wavelength,
        electrical_size=size * spec.lowest_hz / C0,
        electrical_height=height * spec.highest_hz / C0,
        patch_bandwidths=tuple(
            3.77 * factor * height * f / C0 + spec.board.tan_d / 2**0.5 for f in centres
        ),
        band_widths=tuple(
            (band.f_hi_hz - band.f_lo_hz) / f
            for band, f in zip(spec.bands, centres, strict=True)
        ),
        patch_efficiencies=tuple(efficiencies),
        least_efficiency=spec.min_efficiency,
        half_waves=tuple(2 * size * f * eps**0.5 / C0 for f in centres),
        contradictions=_contradictions(spec),
    )


def _patch_efficiency(board: AntennaBoard, frequency_hz: float, factor: float) -> float:
    """Return the share of its power that a square patch radiates, Q / Q_rad.

    Q_rad follows from the bandwidth without loss, 1/(√2 Q_rad); the dielectric's is 1/tan δ, that
    of both conductors h √(π f μ₀ σ) (Balanis, as in `estimate`).
    """
    height = board.height_mm * 1e-3
    radiated = 2**0.5 * 3.77 * factor * height * frequency_hz / C0
    conducted = 1 / (
        height * (math.pi * frequency_hz * MU0 * board.conductivity_s_m) ** 0.5
    )
    return radiated / (radiated + board.tan_d + conducted)


def _contradictions(spec: AntennaSpec) -> tuple[str, ...]:
    """Return a sentence for each band that begins where one to avoid ends, or the reverse."""
    sentences = []
    for i, band in enumerate(spec.bands):
        for j, avoid in enumerate(spec.avoid):
            shared = {band.f_lo_hz, band.f_hi_hz} & {avoid.f_lo_hz, avoid.f_hi_hz}
            margin = (band.s11_max_db - avoid.s11_min_db) / 2
            if shared and margin < 0:
                sentences.append(
                    f"bands[{i}] and avoid[{j}] meet at {min(shared) / 1e9:g} GHz, where |S11| "
                    f"would have to be at most {band.s11_max_db:g} and at least "
                    f"{avoid.s11_min_db:g} dB: no margin above {margin:g} dB exists; leave a gap "
                    "between them"
                )
    return tuple(sentences)

"""Few frequencies in each band, and the margins that their responses give.

A band is sampled at Chebyshev points, edges included, and S11 is interpolated between them by the
polynomial through them (Berrut and Trefethen, SIAM Review 46, 2004). That costs 5 to 11 solves a
band where a sweep costs about 20, and lets thousands of responses be scored as one array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.search.score import MEAN_CAP_DB, MEAN_WEIGHT, Score
from trimtab.specs.antenna import AntennaSpec

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
_FEWEST, _MOST = 5, 11
_WIDTH = 0.03  # of a band, relative, that needs one more point
_DENSE = 4  # interpolated points for each sampled one
_FLOOR = 1e-6


@dataclass(frozen=True, kw_only=True)
class _Requirement:
    columns: slice  # of the frequencies
    to_dense: Real  # (points between, sampled points)
    limit_db: float
    sign: float  # 1: |S11| at most the limit; -1: at least


class BandSamples:
    """The sampled frequencies of one job, and scores of responses at them."""

    def __init__(self, spec: AntennaSpec, *, widened: float = 0.0) -> None:
        self.reference_ohm = spec.z0_ohm
        self.min_efficiency = spec.min_efficiency
        edges = [
            *((band.f_lo_hz, band.f_hi_hz, band.s11_max_db, 1.0) for band in spec.bands),
            *((band.f_lo_hz, band.f_hi_hz, band.s11_min_db, -1.0) for band in spec.avoid),
        ]
        self._requirements: list[_Requirement] = []
        frequencies: list[Real] = []
        for low, high, limit, sign in edges:
            low, high = _widened(low, high, widened, [row[:2] for row in edges])
            width = 2 * (high - low) / (high + low)
            count = int(np.clip(_FEWEST - 1 + np.ceil(width / _WIDTH), _FEWEST, _MOST))
            nodes = np.cos(np.pi * np.arange(count)[::-1] / (count - 1))
            start = sum(map(len, frequencies))
            frequencies.append((low + high) / 2 + (high - low) / 2 * nodes)
            self._requirements.append(
                _Requirement(
                    columns=slice(start, start + count),
                    to_dense=_interpolation(nodes, np.linspace(-1, 1, _DENSE * count)),
                    limit_db=limit,
                    sign=sign,
                )
            )
        self.frequencies_hz = np.concatenate(frequencies)
        counts = [len(row) for row in frequencies]
        # Of each sampled frequency.
        self.limits_db = np.repeat([row.limit_db for row in self._requirements], counts)
        self.signs = np.repeat([row.sign for row in self._requirements], counts)
        # Next to the centre of each band: where efficiencies are taken.
        self.centres = [
            int(np.abs(self.frequencies_hz - (band.f_lo_hz + band.f_hi_hz) / 2).argmin())
            for band in spec.bands
        ]

    @property
    def solved_frequencies_hz(self) -> Real:
        """Frequencies at which the solver is asked; calibrated samples move them."""
        return self.frequencies_hz

    def reflections(self, admittances: Complex) -> Complex:
        """Return S11 of admittances in siemens."""
        relative = admittances * self.reference_ohm
        return np.asarray((1 - relative) / (1 + relative))

    def margins(self, s11: Complex) -> tuple[Real, Real]:
        """Return the worst margins (responses, requirements) and guides (responses,), dB.

        s11: (responses, frequencies).
        """
        worst, means = [], []
        for row in self._requirements:
            dense = s11[:, row.columns] @ row.to_dense.T
            level = 20 * np.log10(np.maximum(np.abs(dense), _FLOOR))
            margins = row.sign * (row.limit_db - level)
            worst.append(margins.min(axis=1))
            means.append(np.minimum(margins, MEAN_CAP_DB).mean(axis=1))
        table = np.array(worst).T
        return table, table.min(axis=1) + MEAN_WEIGHT * np.mean(means, axis=0)

    def score(self, s11: Complex, efficiencies: Sequence[float] = ()) -> Score:
        """Score one response, (frequencies,), and the efficiency in each band."""
        table, guides = self.margins(s11[None])
        lost = tuple(
            10 * float(np.log10(max(value, 1e-6) / self.min_efficiency))
            for value in efficiencies
        )
        worst = float(table[0].min())
        return Score(
            band_margins_db=tuple(map(float, table[0])),
            efficiency_margins_db=lost,
            guide_db=float(guides[0]) + min((worst, *lost)) - worst,
        )


def _widened(
    low: float, high: float, share: float, others: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    """Return the band with edges moved out by a share, at most a quarter of the way to others."""
    below = [other_high for _, other_high in others if other_high <= low]
    above = [other_low for other_low, _ in others if other_low >= high]
    down = min([share * low, *((low - edge) / 4 for edge in below)])
    up = min([share * high, *((edge - high) / 4 for edge in above)])
    return low - down, high + up


def _interpolation(nodes: Real, at: Real) -> Real:
    """Return the matrix from values at Chebyshev points of the second kind to values between."""
    weights = (-1.0) ** np.arange(len(nodes))
    weights[[0, -1]] /= 2
    difference = at[:, None] - nodes[None]
    exact = np.abs(difference) < 1e-12
    terms = weights / np.where(exact, 1.0, difference)
    matrix = terms / terms.sum(axis=1, keepdims=True)
    on_node = exact.any(axis=1)
    matrix[on_node] = exact[on_node]
    return np.asarray(matrix)

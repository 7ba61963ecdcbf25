"""Margins of a response: distance to every requirement, in dB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.parse import AntennaProblem, band_points
from solvers.field.rational import Rational

Real = NDArray[np.float64]
_FLOOR = 1e-6  # of |S11|, -120 dB
MEAN_WEIGHT = 0.1
MEAN_CAP_DB = 6.0


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A band with the frequencies at which it is judged."""

    frequencies_hz: Real
    limit_db: float
    avoid: bool  # |S11| must be above the limit, not below

    def margins(self, s11_db: Real) -> Real:
        """Return the margin at each frequency, positive where the requirement holds."""
        return np.asarray(
            s11_db - self.limit_db if self.avoid else self.limit_db - s11_db
        )


@dataclass(frozen=True, kw_only=True)
class Score:
    """Margins of one response."""

    band_margins_db: tuple[float, ...]  # worst in each band, then in each band to avoid
    efficiency_margins_db: tuple[float, ...]  # empty when no efficiency is required
    guide_db: float  # worst margin plus a tenth of the mean one: what the search climbs

    @property
    def margin_db(self) -> float:
        """Worst margin over all requirements."""
        return min((*self.band_margins_db, *self.efficiency_margins_db))


class Scorer:
    """Scores responses for one job."""

    def __init__(self, problem: AntennaProblem) -> None:
        spec = problem.spec
        self._highest_hz = float(problem.frequencies_hz.max())
        self.min_efficiency = spec.min_efficiency
        self.requirements = [
            *(
                Requirement(
                    frequencies_hz=band_points(band.f_lo_hz, band.f_hi_hz),
                    limit_db=band.s11_max_db,
                    avoid=False,
                )
                for band in spec.bands
            ),
            *(
                Requirement(
                    frequencies_hz=band_points(band.f_lo_hz, band.f_hi_hz),
                    limit_db=band.s11_min_db,
                    avoid=True,
                )
                for band in spec.avoid
            ),
        ]

    def score(self, model: Rational, efficiencies: tuple[float, ...] = ()) -> Score:
        """Score a rational model in x = f / f_max, and the efficiency in each band."""
        worst, means = [], []
        for requirement in self.requirements:
            s11 = model(requirement.frequencies_hz / self._highest_hz)
            level = 20 * np.log10(np.maximum(np.abs(s11), _FLOOR))
            margins = requirement.margins(np.nan_to_num(level, nan=0.0, posinf=0.0))
            worst.append(float(margins.min()))
            means.append(float(np.minimum(margins, MEAN_CAP_DB).mean()))
        lost = tuple(
            10 * float(np.log10(max(efficiency, 1e-6) / self.min_efficiency))
            for efficiency in efficiencies
            if self.min_efficiency > 0
        )
        guide = min((*worst, *lost)) + MEAN_WEIGHT * float(np.mean(means))
        return Score(
            band_margins_db=tuple(worst), efficiency_margins_db=lost, guide_db=guide
        )

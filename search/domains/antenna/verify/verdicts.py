"""Verdict on each band from a response: pass, shifted pass, or fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.parse import band_points
from trimtab.specs.antenna import AntennaSpec

Real = NDArray[np.float64]
Response = Callable[[Real], NDArray[np.complex128]]  # frequencies, Hz → S11
MOST_SHIFT = 0.02
_SHIFTS = 41  # tried, over ± MOST_SHIFT


class Verdict(StrEnum):
    """Outcome of one requirement."""

    PASS = "pass"  # noqa: S105 - no password
    SHIFTED = "shifted pass"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class BandVerdict:
    """Verdict on one band with its figures."""

    name: str  # bands[0], avoid[1]
    verdict: Verdict
    worst_db: float  # |S11| at the exact band
    limit_db: float
    shift: float | None  # of the response in frequency, relative; None when none helps

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return {
            "band": self.name,
            "verdict": self.verdict.value,
            "worst_db": round(self.worst_db, 3),
            "limit_db": self.limit_db,
            "shift_percent": None if self.shift is None else round(100 * self.shift, 2),
        }


def judge(spec: AntennaSpec, response: Response) -> list[BandVerdict]:
    """Return the verdict on each band, then on each band to avoid.

    A response that would pass if all its frequencies were scaled by 1 + shift, at most ± 2 %, is a
    shifted pass; the least such shift is reported.
    """
    rows = [
        *(
            (f"bands[{i}]", b.f_lo_hz, b.f_hi_hz, b.s11_max_db, 1)
            for i, b in enumerate(spec.bands)
        ),
        *(
            (f"avoid[{i}]", b.f_lo_hz, b.f_hi_hz, b.s11_min_db, -1)
            for i, b in enumerate(spec.avoid)
        ),
    ]
    return [_judge(response, *row) for row in rows]


def margins_db(spec: AntennaSpec, verdicts: list[BandVerdict]) -> list[float]:
    """Return the margin of each requirement at its exact band."""
    bands = len(spec.bands)
    return [
        (row.limit_db - row.worst_db) * (1 if number < bands else -1)
        for number, row in enumerate(verdicts)
    ]


def _judge(
    response: Response, name: str, low: float, high: float, limit: float, sign: int
) -> BandVerdict:
    points = band_points(low, high)
    shifts = np.linspace(-MOST_SHIFT, MOST_SHIFT, _SHIFTS)
    order = np.argsort(np.abs(shifts), kind="stable")
    at_zero = _worst(response, points, sign)
    shift: float | None = None
    if sign * at_zero <= sign * limit:
        return BandVerdict(
            name=name, verdict=Verdict.PASS, worst_db=at_zero, limit_db=limit, shift=0.0
        )
    for value in shifts[order]:
        if sign * _worst(response, points / (1 + value), sign) <= sign * limit:
            shift = float(value)
            break
    return BandVerdict(
        name=name,
        verdict=Verdict.FAIL if shift is None else Verdict.SHIFTED,
        worst_db=at_zero,
        limit_db=limit,
        shift=shift,
    )


def _worst(response: Response, points: Real, sign: int) -> float:
    level = 20 * np.log10(np.maximum(np.abs(response(points)), 1e-6))
    return float(level.max() if sign > 0 else level.min())

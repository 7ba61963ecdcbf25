"""Specifications of the search benchmark, and the limits of one run.

Bands in GHz on a grid of 12 x 3 mm, eps_r 2.2, 3.175 mm, feed (3, 6), |S11| at most -10 dB. Bands
at 2.4 GHz are electrically small there and are raised to 2.60-2.66 GHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trimtab.specs.antenna import AntennaSpec

Bands = tuple[tuple[float, float], ...]
TASKS: tuple[Bands, ...] = (
    ((2.60, 2.66),),
    ((3.30, 3.60),),
    ((3.40, 3.80),),
    ((4.40, 4.80),),
    ((4.90, 5.40),),
    ((5.15, 5.35),),
    ((5.15, 5.85),),
    ((5.725, 5.875),),
    ((5.925, 6.425),),
    ((5.90, 7.10),),
    ((6.50, 7.50),),
    ((7.25, 7.75),),
    ((5.10, 7.00),),
    ((4.50, 6.50),),
    ((2.60, 2.66), (5.15, 5.35)),
    ((2.60, 2.66), (5.15, 5.85)),
    ((3.40, 3.60), (5.15, 5.35)),
    ((3.40, 3.80), (5.80, 6.00)),
    ((2.50, 2.69), (3.40, 3.60)),
    ((2.60, 2.66), (3.50, 3.60), (5.15, 5.35)),
)
# Similar to those, fixed before any method was run on them: nothing is tuned on these.
HELD_OUT: tuple[Bands, ...] = (
    ((2.80, 2.87),),
    ((3.10, 3.25),),
    ((3.70, 3.95),),
    ((4.20, 4.50),),
    ((4.80, 5.20),),
    ((5.50, 6.10),),
    ((6.10, 6.90),),
    ((7.00, 7.60),),
    ((2.70, 2.76), (5.40, 5.60)),
    ((3.50, 3.65), (5.60, 5.80)),
)
# For the parameters of the rival, annealing on the fine solver.
TUNING: tuple[Bands, ...] = (
    ((3.00, 3.10),),
    ((3.90, 4.20),),
    ((5.30, 5.70),),
    ((6.30, 7.00),),
    ((4.60, 5.60),),
    ((3.20, 3.30), (5.30, 5.50)),
)
ALL = (*TASKS, *HELD_OUT)


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Limits of one run."""

    coarse: int
    fine: int
    seconds: float
    verify_runs: int


def specification(bands: Bands, effort: Effort, **fields: Any) -> AntennaSpec:
    """Return the job of a benchmark specification."""
    return AntennaSpec.model_validate(
        {
            "bands": [{"f_lo_hz": a * 1e9, "f_hi_hz": b * 1e9} for a, b in bands],
            "feed": [3, 6],
            "coarse_solves": effort.coarse,
            "fine_solves": effort.fine,
            "verify_runs": effort.verify_runs,
            **fields,
        },
        strict=False,
    )

"""Compare the CPU times of two programs by alternating pairs of runs.

The two programs run one after the other and the order alternates from pair to pair, so that a slow
moment of the machine affects both. The comparison is the median of the pairs' ratios with its exact
confidence interval by order statistics (an inverted sign test): no distribution of the noise is
assumed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

BASELINE = "O2"
_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Timing:
    """CPU time of a program against that of the baseline."""

    ratio: float  # median over the pairs of program / baseline
    low: float  # confidence interval of that median
    high: float
    pairs: int
    ours_s: float  # median CPU seconds
    baseline_s: float
    baseline: str = BASELINE

    @property
    def faster(self) -> bool:
        """True when the whole confidence interval is below 1."""
        return self.high < 1.0

    def sentence(self) -> str:
        """Describe the comparison in one line for reports."""
        return (
            f"{self.ours_s:.4g} s, {self.ratio:.3f} [{self.low:.3f}, {self.high:.3f}] "
            f"of the {self.baseline_s:.4g} s of -{self.baseline}, {self.pairs} pairs of runs"
        )


def time_pairs(
    ours: Callable[[], float], theirs: Callable[[], float], pairs: int
) -> Timing:
    """Run both programs `pairs` times; each call is one run and returns its CPU seconds.

    Raises ValueError when `pairs` is below 1.
    """
    if pairs < 1:
        raise ValueError(f"pairs: expected at least 1, got {pairs}")
    mine: list[float] = []
    others: list[float] = []
    for number in range(pairs):
        in_order = ((ours, mine), (theirs, others))
        for run, seconds in in_order if number % 2 == 0 else reversed(in_order):
            seconds.append(run())
    ratios = sorted(a / max(1e-9, b) for a, b in zip(mine, others, strict=True))
    low, high = median_interval(ratios)
    return Timing(
        ratio=statistics.median(ratios),
        low=low,
        high=high,
        pairs=pairs,
        ours_s=statistics.median(mine),
        baseline_s=statistics.median(others),
    )


def median_interval(
    ordered: Sequence[float], confidence: float = _CONFIDENCE
) -> tuple[float, float]:
    """Return the order statistics that enclose the median with at least `confidence`.

    (0, inf) when there are too few values for that. `ordered` is ascending.
    """
    n = len(ordered)
    tail, k = 0.0, 0
    while k < n // 2:
        tail += math.comb(n, k) / 2**n
        if 2 * tail > 1 - confidence:
            break
        k += 1
    return (0.0, math.inf) if k == 0 else (ordered[k - 1], ordered[n - k])

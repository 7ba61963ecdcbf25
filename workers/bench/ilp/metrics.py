"""Primal gap, primal integral and rates (Huang et al. 2023, section 5; Berthold 2013).

All gaps are primal gaps in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from search.trace import primal_gap, primal_integral
from trimtab.results import Incumbent

Trace = Sequence[tuple[float, float]]
"""(seconds, objective) of each incumbent, each better than the one before."""


def incumbent_at(trace: Trace, seconds: float) -> float | None:
    """Return the objective of the incumbent at a moment; None before the first solution."""
    objectives = [objective for at, objective in trace if at <= seconds]
    return objectives[-1] if objectives else None


def gap_at(trace: Trace, best: float, seconds: float) -> float:
    """Return the primal gap at a moment; 1 before the first solution."""
    return primal_gap(incumbent_at(trace, seconds), best)


def integral(trace: Trace, best: float | None, seconds: float) -> float:
    """Return the primal integral in seconds."""
    points = [Incumbent(elapsed_s=at, objective=objective) for at, objective in trace]
    return primal_integral(points, best=best, until_s=seconds)


def compared(one: float, other: float) -> int:
    """Return -1 when the first of two minimised objectives is better, 1 when worse, else 0."""
    within = 1e-6 * max(1.0, abs(one), abs(other))
    return 0 if abs(one - other) <= within else (-1 if one < other else 1)


def survival_rate(gaps: Sequence[float], threshold: float) -> float:
    """Return the share of instances with a gap of at most `threshold`."""
    return float(np.mean([gap <= threshold for gap in gaps])) if gaps else math.nan


def best_performing_rate(gaps: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return for each method the share of instances on which it has the least gap.

    Ties count for all. Sequences are paired by instance.
    """
    names = list(gaps)
    table = np.array([gaps[name] for name in names])  # (methods, instances)
    least = table.min(axis=0)
    return {
        name: float((row <= least + 1e-9).mean())
        for name, row in zip(names, table, strict=True)
    }


def geometric_mean(values: Sequence[float], *, shift: float) -> float:
    """Return exp(mean log(v + shift)) − shift."""
    return float(np.exp(np.mean(np.log(np.asarray(values) + shift))) - shift)

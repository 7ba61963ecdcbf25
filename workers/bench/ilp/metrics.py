"""Primal gap, primal integral and rates, as Huang et al.

(2023, section 5) and Berthold (2013) define them.

All gaps are primal gaps in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from search.trace import primal_gap, primal_integral
from trimtab.results import Incumbent

Trace = Sequence[
    tuple[float, float]
]  # (seconds, objective), each better than the one before


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


def survival_rate(gaps: Sequence[float], threshold: float) -> float:
    """Return the share of instances with a gap of at most `threshold`."""
    return float(np.mean([gap <= threshold for gap in gaps])) if gaps else math.nan


def best_performing_rate(gaps: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return for each method the share of instances on which it has the least gap.

    Ties count for all.

    Sequences are paired by instance.
    """
    names = list(gaps)
    table = np.array([gaps[name] for name in names])  # (methods, instances)
    least = table.min(axis=0)
    return {
        name: float((row <= least + 1e-9).mean())
        for name, row in zip(names, table, strict=True)
    }


def ratio_of_means(
    ours: Sequence[float], theirs: Sequence[float], *, draws: int = 4000
) -> tuple[float, float, float]:
    """Return Σ ours / Σ theirs with its 95 % interval (low, high).

    The interval is a bootstrap over paired instances.
    """
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    picks = np.random.default_rng(0).integers(len(a), size=(draws, len(a)))
    ratios = a[picks].sum(axis=1) / np.maximum(1e-9, b[picks].sum(axis=1))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(a.sum() / max(1e-9, b.sum())), float(low), float(high)


def geometric_mean(values: Sequence[float], *, shift: float) -> float:
    """Return exp(mean log(v + shift)) − shift."""
    return float(np.exp(np.mean(np.log(np.asarray(values) + shift))) - shift)

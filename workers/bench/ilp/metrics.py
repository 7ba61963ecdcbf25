"""Figures as the papers define them (Huang et al. 2023, section 5; Berthold 2013). All gaps are primal gaps in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from search.trace import primal_gap, primal_integral
from trimtab.results import Incumbent

Trace = Sequence[tuple[float, float]]  # (seconds, objective), ever better


def incumbent_at(trace: Trace, seconds: float) -> float | None:
    """Objective known at a moment; None before the first solution."""
    known = [objective for at, objective in trace if at <= seconds]
    return known[-1] if known else None


def gap_at(trace: Trace, best: float, seconds: float) -> float:
    """Primal gap at a moment; 1 before the first solution."""
    return primal_gap(incumbent_at(trace, seconds), best)


def integral(trace: Trace, best: float | None, seconds: float) -> float:
    """Primal integral, seconds."""
    points = [Incumbent(elapsed_s=at, objective=objective) for at, objective in trace]
    return primal_integral(points, best=best, until_s=seconds)


def survival_rate(gaps: Sequence[float], threshold: float) -> float:
    """Share of instances with a gap of at most `threshold`."""
    return float(np.mean([gap <= threshold for gap in gaps])) if gaps else math.nan


def best_performing_rate(gaps: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Method → share of instances on which it has the least gap; ties count for all. Sequences are paired by instance."""
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
    """(ratio, low, high): Σ ours / Σ theirs and its 95 % interval by a bootstrap over paired instances."""
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    picks = np.random.default_rng(0).integers(len(a), size=(draws, len(a)))
    ratios = a[picks].sum(axis=1) / np.maximum(1e-9, b[picks].sum(axis=1))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(a.sum() / max(1e-9, b.sum())), float(low), float(high)


def geometric_mean(values: Sequence[float], *, shift: float) -> float:
    """exp mean log(v + shift) − shift."""
    return float(np.exp(np.mean(np.log(np.asarray(values) + shift))) - shift)

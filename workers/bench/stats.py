"""Statistics of measurements, and the description of the machine that each JSON line has."""

from __future__ import annotations

import datetime
import math
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np


def quantile(values: Sequence[float], q: float) -> float:
    """Return the nearest-rank quantile: the least value that a share `q` does not exceed.

    NaN when empty.
    """
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]


def mean_interval(
    values: Sequence[float], confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return the mean and Student's interval for it; NaN bounds for fewer than two values."""
    from scipy.stats import t  # slow to import, and few suites need it

    count = len(values)
    mean = sum(values) / count
    if count < 2:
        return mean, math.nan, math.nan
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1) / count)
    half = float(t.ppf((1 + confidence) / 2, count - 1)) * spread
    return mean, mean - half, mean + half


def bootstrap_interval(
    values: Sequence[float], *, resamples: int, seed: int = 0, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean (Efron and Tibshirani 1993, ch. 13)."""
    data = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means = data[rng.integers(len(data), size=(resamples, len(data)))].mean(axis=1)
    low, high = np.quantile(means, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)


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


def wilson(successes: int, count: int, z: float = 1.959964) -> list[float] | None:
    """Return the Wilson interval of a share (Wilson 1927), both ends in [0, 1]."""
    if not count:
        return None
    share = successes / count
    centre = share + z * z / (2 * count)
    half = z * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5
    scale = 1 + z * z / count
    ends = ((centre - half) / scale, (centre + half) / scale)
    return [round(min(1.0, max(0.0, end)), 4) for end in ends]


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, tails and maximum of durations, in milliseconds."""
    rows = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "max_ms": 1.0}
    return {name: round(quantile(seconds, q) * 1e3, 2) for name, q in rows.items()}


def machine() -> dict[str, Any]:
    """Describe the machine and the versions of packages that a figure was measured with."""
    cpu_lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.split(":", 1)[1].strip() for line in cpu_lines if "model name" in line)
    packages = ("highspy", "PySCIPOpt", "ortools", "fastapi", "ray", "numpy")
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    versions = {}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": next(models, platform.processor()),
        "cores": os.cpu_count(),
        "memory_gb": round(memory_bytes / 1e9, 1),
        "load_at_start": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": versions,
    }

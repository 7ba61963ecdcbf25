"""Granularity of objectives: the least difference of two values."""

from __future__ import annotations

import numpy as np

from solvers.types import MilpModel


def granularity(model: MilpModel) -> float:
    """Return a number that divides every difference of two objective values; 0.0 if there is none.

    On a set cover with whole costs it is 1 or more, which prunes sub-MIPs hard: only a whole step
    better is of interest.
    """
    used = model.c != 0
    if not bool(used.any()) or not bool(model.integrality[used].all()):
        return 0.0
    costs = np.unique(np.abs(model.c[used]))
    for scale in (1.0, 10.0, 100.0, 1000.0):
        scaled = costs * scale
        whole = np.round(scaled)
        exact = np.abs(scaled - whole) <= 1e-9 * np.maximum(1.0, whole)
        if bool(exact.all()) and whole.max() < 2**53:
            return float(np.gcd.reduce(whole.astype(np.int64))) / scale
    return 0.0

"""Granularity of objectives: the least difference of two values."""

from __future__ import annotations

import numpy as np

from solvers.integer_model import scaled_costs
from solvers.types import MilpModel

# In the author's units. Finer steps are below what solvers tell apart.
_FINEST = 1e-3


def granularity(model: MilpModel) -> float:
    """Return a number that divides every difference of two objective values; 0.0 if there is none.

    On a set cover with whole costs it is 1 or more, which prunes sub-MIPs hard: only a whole step
    better is of interest. Costs count as the decimals that the author wrote, before scaling.
    """
    used = model.c != 0
    if not bool(used.any()) or not bool(model.integrality[used].all()):
        return 0.0
    whole, factor = scaled_costs(model)
    if factor is None:
        return 0.0
    step = float(int(np.gcd.reduce(whole.astype(np.int64))) / factor)
    return step if step / model.cost_factor >= _FINEST else 0.0

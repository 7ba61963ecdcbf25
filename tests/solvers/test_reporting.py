"""The watch over a solve, and its result."""

from __future__ import annotations

import numpy as np

from solvers.reporting import rounded
from tests.solvers.models import milp


def test_rounded() -> None:
    model = milp([1, 1], lower=[0, 0], upper=[1, 1], integer=[True, False])
    assert rounded(model, np.array([0.9999999, -1e-9])).tolist() == [1.0, 0.0]

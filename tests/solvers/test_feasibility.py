"""Feasibility of points in doubles."""

from __future__ import annotations

import numpy as np
import pytest

from solvers.feasibility import is_feasible, violation
from tests.solvers.models import INF, milp


def test_violation() -> None:
    model = milp(
        [1, 1],
        [([1, 1], 1, 2), ([100, 0], -INF, 50)],
        upper=[1, 3],
        integer=[True, False],
    )
    assert is_feasible(model, np.array([0.0, 1.5]))
    measured = violation(model, np.array([1.0, 4.0]))
    assert measured.rows == pytest.approx(1.5)  # (5 - 2) / 2
    assert measured.worst_row == 0
    assert measured.bounds == pytest.approx(1 / 3)
    assert not measured.feasible
    assert violation(model, np.array([0.5, 1.0])).integrality == 0.5
    assert not is_feasible(model, np.array([np.nan, 1.0]))
    with pytest.raises(ValueError, match="shape"):
        violation(model, np.zeros(3))

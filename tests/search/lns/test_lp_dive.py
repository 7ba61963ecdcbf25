"""The LP dive returns feasible points, never better than the LP bound, and is deterministic."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from search.lns.lp_dive import lp_dive
from solvers.feasibility import is_feasible
from solvers.relaxation import Relaxation
from solvers.types import Floats, MilpModel
from tests.search import models

NEVER = math.inf


def dived(model: MilpModel, nearly: float = 0.8) -> tuple[Floats | None, float]:
    relaxation = Relaxation(model)
    root = relaxation.root()
    assert root.objective is not None
    x = lp_dive(model, relaxation, root, until=NEVER, stop=lambda: False, nearly=nearly)
    return x, root.objective


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("nearly", [0.8, 2.0])
def test_partitioning_rows(seed: int, nearly: float) -> None:
    model = models.partitioning(rows=40, columns=300, seed=seed)
    x, bound = dived(model, nearly)
    assert x is not None, "a column for each row alone is there: the dive cannot run dry"
    whole = np.rint(x)
    assert np.abs(x - whole).max() < 1e-5
    assert is_feasible(model, whole)
    assert model.objective(whole) >= bound - 1e-6


def test_dives_are_deterministic() -> None:
    model = models.partitioning(rows=40, columns=300, seed=3)
    first, _ = dived(model)
    second, _ = dived(model)
    assert first is not None
    assert second is not None
    assert (first == second).all()


def test_infeasible_integers_have_no_solution() -> None:
    """Three rows of pairs over three columns: one half each is the LP's, no whole point fits."""
    x, _ = dived(models.odd_cycle())
    assert x is None


def test_time_and_stop_end_a_dive() -> None:
    model = models.partitioning(rows=40, columns=300, seed=1)
    relaxation = Relaxation(model)
    root = relaxation.root()
    fractional = root.x is not None and bool(
        (np.abs(root.x - np.rint(root.x)) > 1e-6).any()
    )
    assert fractional, "the model is of no use here when its LP is whole"
    assert (
        lp_dive(
            model, relaxation, root, until=time.process_time() - 1, stop=lambda: False
        )
        is None
    )
    assert lp_dive(model, relaxation, root, until=NEVER, stop=lambda: True) is None

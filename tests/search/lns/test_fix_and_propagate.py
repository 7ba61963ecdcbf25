"""Fix-and-propagate on models of every shape."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search.lns.fix_and_propagate import Propagator
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from tests.search.models import milp, mixed_rows


def soon() -> float:
    return time.process_time() + 5.0


@given(seed=st.integers(0, 2_000))
@settings(max_examples=30, deadline=None)
def test_a_dive_never_violates_a_row(seed: int) -> None:
    model = mixed_rows(seed)
    slicer = Slicer(model)
    rng = np.random.default_rng(seed)
    point = Propagator(model, slicer.by_row, slicer.by_column).dive(
        rng.integers(0, 4, model.n).astype(float), rng.permutation(model.n), soon()
    )
    assert point is None or is_feasible(model, point)


def test_a_dive_fixes_preferred_values_where_possible() -> None:
    model = milp([1, 1, 1], [(1, [1, 1, 1], 1)])  # exactly one
    slicer = Slicer(model)
    point = Propagator(model, slicer.by_row, slicer.by_column).dive(
        np.array([0.0, 1, 1]), np.array([1, 2, 0]), soon()
    )
    assert point is not None
    assert point.tolist() == [0, 1, 0], "propagation takes the others out"


def test_a_dive_fails_on_an_infeasible_model() -> None:
    model = milp([1, 1], [(3, [1, 1], np.inf)])
    slicer = Slicer(model)
    assert (
        Propagator(model, slicer.by_row, slicer.by_column).dive(
            np.ones(2), np.arange(2), soon()
        )
        is None
    )

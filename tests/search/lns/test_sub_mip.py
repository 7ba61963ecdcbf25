"""Slicing the matrix must be the same as fixing bounds in the whole model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from solvers.highs import HighsSolver
from solvers.types import MilpModel, SolveParams
from tests.search.models import milp, random_cover
from trimtab.results import Reason


def fixed(model: MilpModel, x: np.ndarray, free: np.ndarray) -> MilpModel:
    """The plain way: bounds of everything not free are its value."""
    return replace(
        model,
        col_lower=np.where(free, model.col_lower, x),
        col_upper=np.where(free, model.col_upper, x),
    )


@given(seed=st.integers(0, 10_000), share=st.floats(0.1, 1.0))
@settings(max_examples=30, deadline=None)
def test_slice_has_the_same_optimum_as_fixing(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    model = random_cover(8, 14, seed)
    x = np.ones(model.n)
    free = rng.random(model.n) < share
    sub = Slicer(model).cut(x, free)
    assert sub is not None
    params = SolveParams(relative_gap=0.0)
    whole = HighsSolver().solve(fixed(model, x, free), params)
    part = HighsSolver().solve(sub.model, params)
    assert part.primal == pytest.approx(whole.primal, abs=1e-6)
    assert part.x is not None
    lifted = sub.lift(x, part.x)
    assert is_feasible(model, lifted)
    assert model.objective(lifted) == pytest.approx(part.primal, abs=1e-6)
    assert np.array_equal(lifted[~free], x[~free])


def test_rows_that_cannot_be_violated_are_dropped() -> None:
    model = milp([1, 1, 1], [(1, [1, 1, 0], np.inf), (1, [0, 1, 1], np.inf)])
    sub = Slicer(model).cut(np.array([1.0, 0.0, 1.0]), np.array([False, True, False]))
    assert sub is not None
    assert sub.model.m == 0, "both rows are covered by what is fixed"
    assert sub.model.n == 1


def test_a_broken_fixed_row_gives_no_sub_mip() -> None:
    model = milp([1, 1], [(2, [1, 1], 2)])
    assert Slicer(model).cut(np.array([0.0, 0.0]), np.array([False, True])) is None


def test_unbounded_variables_keep_their_rows() -> None:
    model = milp(
        [1, 1],
        [(-5, [1, -1], 5)],
        lower=[-np.inf, 0],
        upper=[np.inf, np.inf],
        integer=[False, True],
    )
    sub = Slicer(model).cut(np.array([0.0, 3.0]), np.array([True, False]))
    assert sub is not None
    assert sub.model.m == 1
    assert sub.model.row_lower.tolist() == [-2.0]
    assert sub.model.row_upper.tolist() == [8.0]


def test_cutoff_turns_a_finished_neighbourhood_infeasible() -> None:
    model = random_cover(8, 12, 3)
    best = HighsSolver().solve(model, SolveParams(relative_gap=0.0))
    assert best.x is not None
    assert best.primal is not None
    sub = Slicer(model).cut(best.x, np.ones(model.n, dtype=bool))
    assert sub is not None
    again = HighsSolver().solve(sub.model, SolveParams(cutoff=best.primal - 0.5))
    assert again.termination.reason is Reason.INFEASIBLE
    assert again.x is None

"""Start by the program of what the root LP leaves fractional."""

from __future__ import annotations

import numpy as np
import pytest

from search.lns.lp_sub_mip import lp_sub_mip
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from solvers.highs import HighsSolver
from solvers.relaxation import Relaxation
from solvers.types import Floats, MilpModel, SolveParams
from tests.search.models import milp
from tests.waiting import cpu_limit
from workers.corpus.mixed_programs import REGIMES, generate


def started(
    model: MilpModel, lp_x: Floats, share: float = 0.0, seconds: float = 2.0
) -> Floats | None:
    return lp_sub_mip(
        Slicer(model),
        lp_x,
        HighsSolver(),
        share=share,
        most_share=0.8,
        rng=np.random.default_rng(1),
        seconds=seconds,
        stop=lambda: False,
    )


def root_of(model: MilpModel) -> Floats:
    root = Relaxation(model).root(time_limit_s=20.0)
    assert root.x is not None
    return root.x


@pytest.mark.parametrize("regime", REGIMES)
def test_a_capacitated_assignment_begins_near_its_lp(regime: str) -> None:
    """Rounding, dives and jumps had no solution in 9 s: the last jobs fitted no agent."""
    model = generate("generalised-assignment", 1, size="S", regime=regime)
    x = started(model, root_of(model))
    assert x is not None
    assert is_feasible(model, x)
    bound = Relaxation(model).root(time_limit_s=20.0).objective
    assert model.objective(x) <= 1.03 * bound


def test_only_rows_with_a_fraction_move() -> None:
    model = generate("generalised-assignment", 3, size="tiny")
    lp_x = root_of(model)
    x = started(model, lp_x)
    if x is None:
        x = started(model, lp_x, share=0.6)
    assert x is not None
    matrix = model.matrix
    equal = model.row_lower == model.row_upper
    whole = np.abs(lp_x - np.rint(lp_x)) <= 1e-6
    settled = [
        i
        for i in np.flatnonzero(equal)
        if whole[matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]]].all()
    ]
    kept = [
        i
        for i in settled
        if np.array_equal(
            x[matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]]],
            np.rint(lp_x[matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]]]),
        )
    ]
    assert len(kept) >= 0.5 * len(settled)


def test_a_whole_lp_is_its_own_solution() -> None:
    model = milp([1.0, 2.0], [(1, [1.0, 1.0], 1)])
    x = started(model, np.array([1.0, 0.0]))
    assert x is not None
    assert x.tolist() == [1.0, 0.0]


def test_a_program_that_is_no_smaller_is_left_alone() -> None:
    model = generate("generalised-assignment", 3, size="tiny")
    assert started(model, np.full(model.n, 0.5)) is None


def test_it_ends_when_its_time_is_over() -> None:
    model = generate("generalised-assignment", 2, size="S")
    lp_x = root_of(model)
    with cpu_limit(10):
        started(model, lp_x, share=0.6, seconds=0.2)


def test_an_infeasible_rest_gives_nothing() -> None:
    model = generate("generalised-assignment", 3, size="tiny")
    lp_x = np.zeros(model.n)  # no job anywhere, and no row with a fraction
    assert started(model, lp_x) is None
    solved = HighsSolver().solve(model, SolveParams(time_limit_s=5.0))
    assert solved.x is not None, "the model itself has solutions"

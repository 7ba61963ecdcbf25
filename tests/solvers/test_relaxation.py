"""Warm-started LPs equal cold solves."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest

from solvers.feasibility import is_feasible
from solvers.highs import HighsSolver
from solvers.relaxation import Relaxation, distance_row
from solvers.types import MilpModel, SolveParams
from tests.solvers.models import INF, milp, set_cover
from trimtab.results import Limit, Reason

COVER = set_cover(80, 120, density=0.08, seed=2)


def cold(model: MilpModel, extra: tuple[np.ndarray, float] | None = None) -> float:
    """Solve the LP from scratch with HighsSolver, with one more row."""
    row = [] if extra is None else [(extra[0].tolist(), -INF, extra[1])]
    dense = np.zeros((model.m, model.n))
    dense[model.row_of_entry, model.indices] = model.data
    rows = [
        (dense[i].tolist(), model.row_lower[i], model.row_upper[i])
        for i in range(model.m)
    ]
    lp = milp(
        model.c.tolist(),
        rows + row,
        lower=model.col_lower,
        upper=model.col_upper,
        integer=False,
    )
    result = HighsSolver().solve(lp, SolveParams())
    assert result.primal is not None
    return result.primal


def test_root_is_solved_once() -> None:
    relaxation = Relaxation(COVER)
    root = relaxation.root()
    assert root.optimal
    assert root.objective == pytest.approx(cold(COVER))
    assert relaxation.root() is root
    assert root.x is not None
    assert root.row_duals is not None
    assert root.reduced_costs is not None
    assert root.x.shape == root.reduced_costs.shape == (COVER.n,)
    assert root.row_duals.shape == (COVER.m,)
    # Duality: c = Aᵀy + reduced costs.
    assert np.allclose(
        COVER.matrix.T @ root.row_duals + root.reduced_costs, COVER.c, atol=1e-6
    )


@pytest.mark.parametrize("seed", range(3))
def test_near_equals_a_cold_solve(seed: int) -> None:
    rng = np.random.default_rng(seed)
    relaxation = Relaxation(COVER)
    root = relaxation.root()
    for distance in (3.0, 40.0, 8.0, 1000.0):
        point = np.ones(COVER.n)
        point[rng.choice(COVER.n, 20, replace=False)] = 0
        row = distance_row(COVER, point)
        solution = relaxation.near(point, distance)
        if solution.x is None:
            assert solution.termination.reason in (
                Reason.INFEASIBLE,
                Reason.INFEASIBLE_OR_UNBOUNDED,
            )
            continue
        assert row.of(solution.x) <= distance + 1e-6
        assert solution.objective == pytest.approx(
            cold(COVER, (row.weights, distance - row.constant)), abs=1e-6
        )
    # and the row is gone again
    assert relaxation.within(COVER.col_lower, COVER.col_upper).objective == pytest.approx(
        root.objective
    )


def test_near_the_root_is_the_root() -> None:
    relaxation = Relaxation(COVER)
    root = relaxation.root()
    assert relaxation.near(np.ones(COVER.n), float(COVER.n)) is root


def test_within_restores_the_bounds() -> None:
    relaxation = Relaxation(COVER)
    root = relaxation.root()
    fixed = COVER.col_lower.copy()
    fixed[:60] = 1
    expected = cold(replace(COVER, col_lower=fixed))
    assert relaxation.within(fixed, COVER.col_upper).objective == pytest.approx(expected)
    assert (
        relaxation.within(np.zeros(COVER.n), np.zeros(COVER.n)).termination.reason
        is Reason.INFEASIBLE
    )
    assert relaxation.within(COVER.col_lower, COVER.col_upper).objective == pytest.approx(
        root.objective
    )


def test_complete_repairs_rows_after_rounding() -> None:
    # y ≤ 1e6·x: an x of 1 - 1e-9, rounded, moves the row by a thousandth.
    model = milp(
        [0, -1],
        [([-1e6, 1], -INF, 0), ([1, 0], -INF, 1)],
        upper=[1, 2e6],
        integer=[True, False],
    )
    solution = Relaxation(model).complete(np.array([1 - 1e-9, 5.0]))
    assert solution.x is not None
    assert solution.x.tolist() == [1.0, 1e6]
    assert is_feasible(model, solution.x)


def test_general_integers_count_their_distance_from_the_bound() -> None:
    model = milp(
        [1, 1, 1, 1],
        lower=[0, -2, 0, 0],
        upper=[1, 2, 4, 9],
        integer=[True, True, True, False],
    )
    row = distance_row(model, np.array([1, -2, 3, 5]))
    assert row.of(np.array([1, -2, 3, 5])) == 0
    # The interior integer and the continuous one are left out.
    assert row.of(np.array([0, 0, 0, 0])) == 1 + 0.5
    assert row.weights.tolist() == [-1, 0.25, 0, 0]


def test_limits() -> None:
    big = set_cover(1500, 2000, density=0.05)
    timed = Relaxation(big).root(time_limit_s=0.01)
    assert timed.termination.reason is Reason.NO_SOLUTION_FOUND
    assert timed.termination.limit is Limit.TIME
    assert timed.x is None
    relaxation = Relaxation(big)
    stopped = relaxation.root(stop=lambda: True)
    assert stopped.termination.limit is Limit.STOPPED
    assert relaxation.root().optimal  # a stopped relaxation can continue


def test_exceptions_of_stop_are_raised() -> None:
    def stop() -> bool:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        Relaxation(set_cover(1500, 2000, density=0.05)).root(stop=stop)


def test_unbounded_and_infeasible() -> None:
    assert (
        Relaxation(milp([-1], upper=[INF])).root().termination.reason is Reason.UNBOUNDED
    )
    none = Relaxation(milp([1], [([1], 3, 4)])).root()
    assert none.termination.reason is Reason.INFEASIBLE
    assert none.objective is None


def test_a_relaxation_ends_with_its_last_reference() -> None:
    relaxation = Relaxation(COVER)
    relaxation.root()
    alive = weakref.ref(relaxation)
    del relaxation
    assert alive() is None

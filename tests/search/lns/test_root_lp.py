"""The root LP beside the search: what is handed over, who waits, and that its bound is one."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from search.isolation import NativeProcess
from search.lns.guide import Guide
from search.lns.neighbourhoods import RinsNeighbourhood
from search.lns.root_lp import SharedRootLp, solve_root
from solvers.relaxation import Relaxation, safe_bound
from solvers.types import MilpModel
from tests.search.models import milp, random_cover

INF = math.inf


def never() -> bool:
    return False


def solved_beside(model: MilpModel) -> SharedRootLp:
    place = SharedRootLp(model)
    process = NativeProcess("the root LP", solve_root(model, place, seconds=10))
    while process.alive:
        time.sleep(0.005)
    process.raise_for_end()
    process.close()
    return place


def test_the_shared_root_equals_one_solved_here() -> None:
    model = random_cover(20, 40, 3)
    place = solved_beside(model)
    own = Relaxation(model).root()
    guide = Guide(model, shared_root=place)
    root = guide.root()
    assert root is not None
    assert root.objective == pytest.approx(own.objective)
    assert not guide.waiting
    np.testing.assert_allclose(root.reduced_costs, own.reduced_costs, atol=1e-9)
    assert place.bound <= own.objective + 1e-12
    assert place.bound == pytest.approx(own.objective, abs=1e-6)


def test_lb_lps_begin_from_the_shared_basis() -> None:
    model = random_cover(60, 120, 4)
    guide = Guide(model, shared_root=solved_beside(model))
    x = np.ones(model.n)
    near = guide.local_branching_optimum(x, 110.0)
    again = Relaxation(model)
    again.root()
    assert model.objective(near) == pytest.approx(again.near(x, 110.0).objective)


def test_an_arm_waits_while_the_lp_is_pending_and_no_longer() -> None:
    model = random_cover(20, 40, 3)
    place = SharedRootLp(model)
    guide = Guide(model, shared_root=place)
    arm = RinsNeighbourhood(model, guide)
    assert arm.waits()
    assert guide.root() is None
    assert guide.wait(0.01, never) is None
    place.give_up()
    assert not arm.waits()
    assert guide.root() is None


def test_a_failed_process_ends_the_waiting() -> None:
    infeasible = milp([1.0], [(2.0, [1.0], INF)], upper=[1.0])
    place = solved_beside(infeasible)
    assert not place.pending
    assert place.take() is None
    assert place.bound == -math.inf


@pytest.mark.parametrize("seed", range(20))
def test_any_duals_give_a_bound(seed: int) -> None:
    """Weak duality: the bound holds for optimal, disturbed and random duals."""
    model = random_cover(15, 30, seed)
    rng = np.random.default_rng(seed)
    root = Relaxation(model).root()
    assert root.row_duals is not None
    assert root.objective is not None
    best = safe_bound(model, root.row_duals)
    assert root.objective - 1e-6 <= best <= root.objective
    for duals in (
        root.row_duals + rng.normal(0, 1e-6, model.m),
        rng.normal(0, 2, model.m),
    ):
        assert safe_bound(model, duals) <= root.objective


def test_a_wrong_sign_at_an_absent_bound_gives_no_bound() -> None:
    free = milp(
        [1.0, 1.0], [(1.0, [1.0, 1.0], INF)], lower=[-INF, -INF], upper=[INF, INF]
    )
    assert safe_bound(free, np.array([1.0])) == pytest.approx(1.0)
    assert safe_bound(free, np.array([0.5])) == -math.inf

"""Destroy heuristics against plain references, selection, pruning, construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.bandit import DiscountedBandit
from search.lns.arms import ARMS, ArmParts
from search.lns.guide import Guide
from search.lns.neighbourhoods import (
    ConstraintBlockNeighbourhood,
    CrossoverNeighbourhood,
    DestroyHeuristic,
    LbRelaxNeighbourhood,
    LbRelaxRounding,
    RandomNeighbourhood,
    RinsNeighbourhood,
    VariableGraphNeighbourhood,
)
from search.lns.prefer import Core
from search.lns.prune import ReducedCostPruning
from search.lns.start import constructive
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from solvers.relaxation import Relaxation
from solvers.types import MilpModel
from tests.search.models import brute_force, milp, random_cover
from trimtab.specs.ilp import Neighbourhood


def everything(model: MilpModel) -> np.ndarray:
    return np.ones(model.n, dtype=bool)


@pytest.mark.parametrize("count", [1, 5, 12, 50])
def test_random_frees_the_count_of_integers_and_all_continuous(count: int) -> None:
    base = random_cover(10, 20, 1)
    model = milp(
        base.c.tolist(),
        [(1.0, row.tolist(), np.inf) for row in base.matrix.toarray()],
        integer=[True] * 15 + [False] * 5,
    )
    arm = RandomNeighbourhood(model)
    for seed in range(5):
        free = arm.choose(
            np.ones(model.n), count, np.random.default_rng(seed), everything(model)
        )
        assert free[15:].all()
        assert free[:15].sum() == min(count, 15)


def test_grown_neighbourhoods_reach_the_size_even_over_components() -> None:
    # Two blocks that share no row: growing from one must go on in the other.
    block = [[1.0 if j // 3 == i else 0.0 for j in range(60)] for i in range(20)]
    model = milp([1.0] * 60, [(1.0, row, np.inf) for row in block])
    slicer = Slicer(model)
    arm = VariableGraphNeighbourhood(model, slicer.by_row, slicer.by_column)
    chosen = arm._grow(10, np.random.default_rng(0), np.arange(60))
    assert len(chosen) == 10
    blocks = {int(j) // 3 for j in chosen}
    assert len(blocks) <= 4, "related variables come together"


def test_lb_relax_takes_the_largest_differences() -> None:
    model = random_cover(12, 24, 5)
    guide = Guide(model)
    arm = LbRelaxNeighbourhood(model, guide)
    x = np.ones(model.n)
    free = arm.choose(x, 6, np.random.default_rng(0), everything(model))
    x_lp = guide.relaxation.near(x, 6.0).x
    assert x_lp is not None
    difference = np.abs(x_lp - x)
    assert free.sum() == 6
    assert difference[free].min() >= difference[~free].max() - 1e-9


def test_lb_relax_does_not_repeat_itself() -> None:
    model = random_cover(12, 24, 5)
    arm = LbRelaxNeighbourhood(model, Guide(model))
    rng = np.random.default_rng(0)
    x = np.ones(model.n)
    sets = {arm.choose(x, 6, rng, everything(model)).tobytes() for _ in range(8)}
    assert len(sets) > 1, "the same incumbent and size must not give the same set for ever"


@given(seed=st.integers(0, 5_000))
@settings(max_examples=25, deadline=None)
def test_pruning_never_cuts_off_a_better_solution(seed: int) -> None:
    model = random_cover(7, 10, seed)
    root = Relaxation(model).root()
    best, best_x = brute_force(model)
    assert best_x is not None
    x = np.ones(model.n)
    movable, must = ReducedCostPruning(model, root).movable(x, best + 0.5)
    # Every variable that a better solution changes may move, and what must move does.
    assert movable[np.abs(best_x - x) > 0.5].all()
    assert (np.abs(best_x - x) > 0.5)[must].all()


@given(seed=st.integers(0, 5_000))
@settings(max_examples=25, deadline=None)
def test_construction_is_feasible(seed: int) -> None:
    model = random_cover(12, 20, seed)
    slicer = Slicer(model)
    x = constructive(model, slicer.by_row, slicer.by_column)
    assert x is not None
    assert is_feasible(model, x)
    for j in np.flatnonzero(x > 0.5):  # nothing in it is redundant
        without = x.copy()
        without[j] = 0.0
        assert not is_feasible(model, without)


def test_construction_packs_and_says_no_where_it_does_not_apply() -> None:
    packing = milp([-3, -2, -2], [(-np.inf, [1, 1, 0], 1), (-np.inf, [0, 1, 1], 1)])
    slicer = Slicer(packing)
    x = constructive(packing, slicer.by_row, slicer.by_column)
    assert x is not None
    assert is_feasible(packing, x)
    assert packing.objective(x) == -5.0
    equality = milp([1, 1], [(1, [1, 1], 1)])
    slicer = Slicer(equality)
    assert constructive(equality, slicer.by_row, slicer.by_column) is None


def test_core_keeps_the_incumbent_and_the_good() -> None:
    model = random_cover(10, 30, 2)
    slicer = Slicer(model)
    core = Core(model, slicer.by_row, slicer.by_column)
    x = np.zeros(model.n)
    x[29] = 1.0
    mask = core.best(8, x)
    assert mask is not None
    assert mask[29]
    assert 8 <= mask.sum() <= 9
    root = Relaxation(model).root()
    core.learn(root)
    assert root.reduced_costs is not None
    mask = core.best(8, np.zeros(model.n))
    assert mask is not None
    assert (
        np.abs(root.reduced_costs)[mask].max()
        <= np.abs(root.reduced_costs)[~mask].min() + 1e-9
    )


def test_bandit_tries_all_then_prefers_what_pays() -> None:
    bandit = DiscountedBandit(["a", "b"], explore=0.0)
    rng = np.random.default_rng(0)
    assert {bandit.pick(rng) for _ in range(30)} == {"a", "b"}, (
        "nothing is known: both have their turn"
    )
    bandit.update("a", gain=0.0, seconds=1.0)
    bandit.update("b", gain=1.0, seconds=1.0)
    assert all(bandit.pick(rng) == "b" for _ in range(20))
    for _ in range(60):  # b stops paying, a starts
        bandit.update("b", gain=0.0, seconds=1.0)
        bandit.update("a", gain=1.0, seconds=1.0)
    assert bandit.pick(rng) == "a"
    with pytest.raises(ValueError, match="at least one"):
        DiscountedBandit([])


def test_bandit_explores_cheap_arms_more_often_and_forgets_dry_ones() -> None:
    bandit = DiscountedBandit(["cheap", "dear"], explore=1.0)
    rng = np.random.default_rng(1)
    for _ in range(6):
        bandit.update("cheap", gain=0.1, seconds=0.01)
        bandit.update("dear", gain=0.1, seconds=2.0)
    picks = [bandit.pick(rng) for _ in range(300)]
    assert picks.count("cheap") > 10 * picks.count("dear") > 0
    bandit = DiscountedBandit(["early", "steady"], explore=0.0)
    bandit.update("early", gain=100.0, seconds=0.1)
    bandit.update("steady", gain=0.01, seconds=0.1)
    for _ in range(25):  # 2.5 s without a gain
        bandit.update("early", gain=0.0, seconds=0.1)
    assert bandit.pick(rng) == "steady"
    bandit.drop("steady")
    bandit.drop("early")
    assert bandit.arms == ("early",), "the last arm stays"


def test_a_prior_gives_the_first_turns_and_is_lost_by_failing() -> None:
    bandit = DiscountedBandit(
        ["known", "other"], explore=0.0, prior={"known": 0.05, "absent": 1.0}
    )
    rng = np.random.default_rng(2)
    assert all(bandit.pick(rng) == "known" for _ in range(20))
    bandit.update("other", gain=0.002, seconds=0.2)
    assert bandit.pick(rng) == "known"
    for _ in range(6):
        bandit.update("known", gain=0.0, seconds=0.2)
    assert all(bandit.pick(rng) == "other" for _ in range(20))


def _arms(model: MilpModel) -> dict[Neighbourhood, DestroyHeuristic]:
    """All arms but the learned one, which is not ready on such models."""
    guide = Guide(model)
    for seed in range(3):
        x = (np.random.default_rng(seed).random(model.n) < 0.8).astype(float)
        guide.pool.add(model.objective(x), x)
    parts = ArmParts(guide=guide, slicer=Slicer(model))
    return {row.word: row.make(parts) for row in ARMS if row.weights is None}


@pytest.mark.parametrize("word", list(_arms(random_cover(8, 20, 1))))
@pytest.mark.parametrize("count", [1, 7, 12, 100])
def test_every_arm_frees_what_it_may_and_the_count(word: Neighbourhood, count: int) -> None:
    """All continuous variables, and `count` integers that may move, if there are enough."""
    base = random_cover(12, 30, 3)
    model = milp(
        base.c.tolist(),
        [(1.0, row.tolist(), np.inf) for row in base.matrix.toarray()],
        integer=[True] * 24 + [False] * 6,
    )
    arm = _arms(model)[word]
    movable = np.ones(model.n, dtype=bool)
    movable[:8] = False
    for seed in range(4):
        free = arm.choose(np.ones(model.n), count, np.random.default_rng(seed), movable)
        assert free[24:].all()
        assert not free[:8].any()
        assert free[8:24].sum() == min(count, 16)


def test_rins_and_crossover_free_differences_first() -> None:
    model = random_cover(12, 40, 8)
    guide = Guide(model)
    root = guide.root()
    assert root is not None
    assert root.x is not None
    x = np.ones(model.n)
    differs = np.abs(root.x - x) > 1e-6
    free = RinsNeighbourhood(model, guide).choose(
        x, 5, np.random.default_rng(0), everything(model)
    )
    assert differs[free].all()
    other = x.copy()
    other[[3, 17]] = 0.0
    guide.pool.add(1.0, x)
    guide.pool.add(0.5, other)
    free = CrossoverNeighbourhood(model, guide).choose(
        x, 2, np.random.default_rng(0), everything(model)
    )
    assert set(np.flatnonzero(free)) == {3, 17}


def test_constraint_block_begins_with_tight_rows() -> None:
    # Row 0 is tight at x = e0, row 1 has slack 2: two variables come from row 0.
    model = milp(
        [1] * 6, [(1, [1, 1, 0, 0, 0, 0], np.inf), (1, [0, 0, 1, 1, 1, 1], np.inf)]
    )
    x = np.array([1.0, 0, 1, 1, 1, 0])
    free = ConstraintBlockNeighbourhood(model, Slicer(model).by_row).choose(
        x, 2, np.random.default_rng(0), everything(model)
    )
    assert set(np.flatnonzero(free)) == {0, 1}


def test_lb_relax_rounding_follows_its_probabilities() -> None:
    model = random_cover(12, 40, 8)
    guide = Guide(model)
    x = np.ones(model.n)
    near = guide.near(x, 20.0)
    difference = guide.difference(x, near)
    arm = LbRelaxRounding(model, guide)
    rng = np.random.default_rng(0)
    counts = sum(arm.choose(x, 20, rng, everything(model)).astype(int) for _ in range(200))
    assert counts[difference > 0.9].mean() > 2 * counts[difference < 0.1].mean()

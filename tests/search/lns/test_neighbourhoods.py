"""Destroy heuristics against plain references."""

from __future__ import annotations

import numpy as np
import pytest

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
from search.lns.sub_mip import Slicer
from solvers.types import MilpModel
from tests.search.models import milp, random_cover
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
    assert len(sets) > 1, (
        "the same incumbent and size must not give the same set for ever"
    )


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
def test_every_arm_frees_what_it_may_and_the_count(
    word: Neighbourhood, count: int
) -> None:
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
    near = guide.local_branching_optimum(x, 20.0)
    difference = guide.difference(x, near)
    arm = LbRelaxRounding(model, guide)
    rng = np.random.default_rng(0)
    counts = sum(
        arm.choose(x, 20, rng, everything(model)).astype(int) for _ in range(200)
    )
    assert counts[difference > 0.9].mean() > 2 * counts[difference < 0.1].mean()

"""Destroy heuristics against plain references, and the loop."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from search.lns.guide import Guide
from search.lns.loop import LnsLoop, LnsParams, granularity
from search.lns.neighbourhoods import (
    ConstraintBlockNeighbourhood,
    CrossoverNeighbourhood,
    LbRelaxNeighbourhood,
    LbRelaxRounding,
    LbRelaxSampling,
    Neighbourhood,
    RandomNeighbourhood,
    RinsNeighbourhood,
    VariableGraphNeighbourhood,
)
from search.lns.sub_mip import Slicer
from search.lns.swap import one_swap
from solvers.feasibility import is_feasible
from solvers.highs import HighsSolver
from solvers.types import Floats, MilpModel
from tests.search.models import brute_force, milp, random_cover
from workers.corpus import integer_programs


def never() -> bool:
    return False


def everything(model: MilpModel) -> np.ndarray:
    return np.ones(model.n, dtype=bool)


@pytest.mark.parametrize("count", [1, 5, 12, 50])
def test_random_frees_so_many_integers_and_all_continuous(count: int) -> None:
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
    guide = Guide(model, stop=never)
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
    arm = LbRelaxNeighbourhood(model, Guide(model, stop=never))
    rng = np.random.default_rng(0)
    x = np.ones(model.n)
    sets = {arm.choose(x, 6, rng, everything(model)).tobytes() for _ in range(8)}
    assert len(sets) > 1, "the same incumbent and size must not give the same set for ever"


def _arms(model: MilpModel) -> dict[str, Neighbourhood]:
    slicer, guide = Slicer(model), Guide(model, stop=never)
    for seed in range(3):
        x = (np.random.default_rng(seed).random(model.n) < 0.8).astype(float)
        guide.pool.add(model.objective(x), x)
    arms: list[Neighbourhood] = [
        RandomNeighbourhood(model),
        VariableGraphNeighbourhood(model, slicer.by_row, slicer.by_column),
        ConstraintBlockNeighbourhood(model, slicer.by_row),
        RinsNeighbourhood(model, guide),
        CrossoverNeighbourhood(model, guide),
        LbRelaxNeighbourhood(model, guide),
        LbRelaxSampling(model, guide),
        LbRelaxRounding(model, guide),
    ]
    return {arm.name: arm for arm in arms}


@pytest.mark.parametrize("name", list(_arms(random_cover(8, 20, 1))))
@pytest.mark.parametrize("count", [1, 7, 12, 100])
def test_every_arm_frees_what_it_may_and_so_many(name: str, count: int) -> None:
    """Continuous variables always; integers only where they may move, and `count` of them where there are so many."""
    base = random_cover(12, 30, 3)
    model = milp(
        base.c.tolist(),
        [(1.0, row.tolist(), np.inf) for row in base.matrix.toarray()],
        integer=[True] * 24 + [False] * 6,
    )
    arm = _arms(model)[name]
    movable = np.ones(model.n, dtype=bool)
    movable[:8] = False
    for seed in range(4):
        free = arm.choose(np.ones(model.n), count, np.random.default_rng(seed), movable)
        assert free[24:].all()
        assert not free[:8].any()
        assert free[8:24].sum() == min(count, 16)


def test_rins_and_crossover_free_differences_first() -> None:
    model = random_cover(12, 40, 8)
    guide = Guide(model, stop=never)
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
    guide = Guide(model, stop=never)
    x = np.ones(model.n)
    near = guide.near(x, 20.0)
    difference = guide.difference(x, near)
    arm = LbRelaxRounding(model, guide)
    rng = np.random.default_rng(0)
    counts = sum(arm.choose(x, 20, rng, everything(model)).astype(int) for _ in range(200))
    assert counts[difference > 0.9].mean() > 2 * counts[difference < 0.1].mean()


def test_pool_keeps_the_best_distinct_solutions() -> None:
    guide = Guide(random_cover(5, 8, 0), stop=never)
    for value in range(14):
        guide.pool.add(float(value), np.full(8, float(value)))
        guide.pool.add(float(value), np.full(8, float(value)))
    assert len(guide.pool) == 10
    assert [float(y[0]) for y in guide.pool.others(np.zeros(8))] == [
        float(v) for v in range(9, 0, -1)
    ]


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([2, 4, 6], 2.0),
        ([3, 5], 1.0),
        ([0.5, 1.5], 0.5),
        ([0.1234567, 1], 0.0),
        ([0, 0], 0.0),
    ],
)
def test_granularity(costs: list[float], expected: float) -> None:
    model = milp(costs, [(0, [1.0] * len(costs), 5)])
    assert granularity(model) == pytest.approx(expected)


def test_granularity_needs_whole_variables() -> None:
    assert granularity(milp([2, 4], [(0, [1, 1], 5)], integer=[True, False])) == 0.0


def _loop(
    model: MilpModel, publish: Callable[[float, Floats, str], None], steps: int
) -> LnsLoop:
    slicer = Slicer(model)
    guide = Guide(model, stop=never)
    done = [0]

    def count() -> None:
        done[0] += 1

    return LnsLoop(
        model=model,
        slicer=slicer,
        solver=HighsSolver(),
        arms={
            "random": RandomNeighbourhood(model),
            "lb-relax": LbRelaxNeighbourhood(model, guide),
        },
        params=LnsParams(least=4),
        rng=np.random.default_rng(7),
        publish=publish,
        others=lambda objective: None,
        stopped=lambda: done[0] >= steps,
        remaining_s=lambda: 60.0,
        on_iteration=count,
    )


def test_loop_only_improves_and_reaches_the_optimum() -> None:
    model = random_cover(9, 13, 11)
    best, _ = brute_force(model)
    seen: list[float] = []

    def publish(objective: float, x: Floats, source: str) -> None:
        assert is_feasible(model, x)
        assert model.objective(x) == pytest.approx(objective)
        assert source in ("lns:random", "lns:lb-relax")
        seen.append(objective)

    loop = _loop(model, publish, steps=40)
    loop.run(np.ones(model.n))
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == len(seen)
    assert loop.objective == pytest.approx(best)


def test_same_seed_same_run() -> None:
    model = random_cover(10, 16, 4)
    runs = []
    for _ in range(2):
        seen: list[tuple[float, str]] = []
        _loop(model, lambda o, x, s, seen=seen: seen.append((o, s)), steps=15).run(
            np.ones(model.n)
        )
        runs.append(seen)
    assert runs[0]
    assert [o for o, _ in runs[0]][-1] == [o for o, _ in runs[1]][-1]


def test_exchanges_go_beside_the_arms_and_without_any() -> None:
    model = integer_programs.generate("auction", "1/5", 7)
    slicer = Slicer(model)
    for arms in ({"random": RandomNeighbourhood(model)}, {}):
        seen: list[str] = []
        until = time.process_time() + 2.0
        loop = LnsLoop(
            model=model,
            slicer=slicer,
            solver=HighsSolver(),
            arms=arms,
            swap=one_swap(model, slicer.by_row, slicer.by_column),
            params=LnsParams(sub_mip_s=0.2),
            rng=np.random.default_rng(7),
            publish=lambda o, x, s, seen=seen: seen.append(s),
            others=lambda objective: None,
            stopped=lambda until=until: time.process_time() > until,
            remaining_s=lambda: 60.0,
        )
        loop.run(np.zeros(model.n))
        assert loop.x is not None
        assert is_feasible(model, loop.x)
        assert "lns:one-swap" in seen
        swaps = loop.statistics["one-swap"]
        assert swaps.calls > 0
        if arms:
            assert swaps.seconds == pytest.approx(
                loop.statistics["random"].seconds, rel=0.5
            )
            assert "one-swap" not in loop._bandit.arms, "it does not compete with them"


def test_loop_takes_over_what_others_found() -> None:
    model = random_cover(8, 12, 6)
    best, best_x = brute_force(model)
    assert best_x is not None
    loop = _loop(model, lambda o, x, s: None, steps=1)
    loop._others = lambda objective: (best, best_x) if best < objective else None
    loop.run(np.ones(model.n))
    assert loop.objective == best

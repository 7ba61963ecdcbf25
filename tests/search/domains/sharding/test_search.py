"""Theorems of the search: bounds below brute force, plans above it, incremental costs equal to fresh ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from search.domains.sharding.encode.plan import Plan, fits
from search.domains.sharding.encode.shards import to_shards
from search.domains.sharding.search.bound import exact
from search.domains.sharding.search.bound.certificate import bound_of, floors, prove
from search.domains.sharding.search.bound.covers import Covers
from search.domains.sharding.search.bound.groups import groups_of
from search.domains.sharding.search.bound.multipliers import even
from search.domains.sharding.search.instance import search_instance
from search.domains.sharding.search.loads import plan_cost
from search.domains.sharding.search.local_search import LocalSearch
from search.domains.sharding.search.neuroshard import neuroshard
from search.domains.sharding.search.phases import NothingFits
from search.domains.sharding.search.working_plan import Limits
from search.domains.sharding.verify import oracle_ms
from tests.search.domains.sharding.conftest import Ready, job
from trimtab.specs.sharding import BeamOptions, Constraints, Hardware, ShardingSpec

Make = Callable[[ShardingSpec], Ready]


def search(r: Ready, seed: int = 0):
    return search_instance(r.instance, np.random.default_rng(seed))


def brute_force(r: Ready) -> tuple[float, float]:
    """Least model cost and least oracle cost over every placement of unsplit tables."""
    whole = r.setup.items.whole
    model = oracle = np.inf
    for device in itertools.product(range(r.model.devices), repeat=len(whole)):
        plan = Plan.of(whole, np.array(device), "all")
        if fits(r.setup.items, plan, r.setup.capacity):
            model = min(model, plan_cost(r.setup.items, r.model, plan))
            oracle = min(oracle, r.oracle.cost(plan))
    return model, oracle


@pytest.mark.parametrize("seed", range(4))
def test_small_problems_against_brute_force(ready: Make, seed: int) -> None:
    spec = job(6, 3, seed=seed)
    spec = spec.model_copy(
        update={"constraints": Constraints(no_split=tuple(t.name for t in spec.tables))}
    )
    r = ready(spec)
    best_model, best_oracle = brute_force(r)
    if not np.isfinite(best_model):
        with pytest.raises(NothingFits):
            search(r)
        return
    found = search(r)
    bound = prove(r.setup.items, r.model, r.setup.capacity, found.plan, stop=lambda: False)
    assert bound.lower_bound_ms <= best_model * (1 + 1e-9)
    assert found.model_best_ms == pytest.approx(best_model, rel=1e-6), (
        "729 placements: local search finds the best"
    )
    assert best_oracle * (1 - 1e-9) <= found.oracle_ms <= best_oracle * 1.02
    solved = [
        exact.solve(
            r.setup.items, r.model, r.setup.capacity, seconds=20, solver=s, confirm=None
        )
        for s in ("highs", "scip")
    ]
    for answer in solved:
        assert answer is not None
        assert answer.optimal
        # The program sees sending only; where receiving decides, it is a hair below.
        assert answer.lower_bound_ms <= best_model * (1 + 1e-6)
        assert answer.lower_bound_ms == pytest.approx(best_model, rel=5e-3)


def test_bound_is_below_every_plan_met_whatever_the_multipliers(ready: Make) -> None:
    r = ready(job(25, 4, seed=5))
    rng = np.random.default_rng(0)
    plans = []
    for _ in range(30):
        option = r.setup.items.whole
        plan = Plan.of(option, rng.integers(0, 4, len(option)), "random")
        search_ = LocalSearch(
            r.setup.items, r.model, plan, Limits(capacity=np.full(4, np.inf))
        )
        for _ in range(3):
            search_.kick(rng, 3)
        search_.descend(lambda running=search_: running.steps > 15)
        plans.append(search_.plan)
    infinite = np.full(4, np.inf)
    joints = len(r.model.heads[0].out)
    groups = groups_of(r.setup.items, r.model, infinite)
    start = even(r.setup.items, groups, plans[0])
    for s in (np.zeros(joints), np.ones(joints), rng.random(joints)):
        bound = bound_of(
            r.setup.items, groups, Covers(r.setup.items), replace(start, slope=s[None])
        )
        for plan in plans:
            assert bound <= plan_cost(r.setup.items, r.model, plan) + 1e-9
    floor = floors(r.setup.items, groups)
    for plan in plans:
        assert (
            floor[0, plan.option] <= plan_cost(r.setup.items, r.model, plan) + 1e-9
        ).all()


def test_incremental_cost_is_the_fresh_one(ready: Make) -> None:
    r = ready(job(30, 4, seed=2))
    rng = np.random.default_rng(1)
    option = r.setup.items.whole
    search_ = LocalSearch(
        r.setup.items,
        r.model,
        Plan.of(option, rng.integers(0, 4, len(option)), "x"),
        Limits(capacity=r.setup.capacity * 3),
    )
    for _ in range(12):
        step = search_._best_step()
        if step is None:
            break
        step.apply()
        assert search_.cost == pytest.approx(
            plan_cost(r.setup.items, r.model, search_.plan), rel=1e-9
        )
        assert search_.cost <= step.cost * (1 + 2e-3)


def test_never_dearer_than_any_baseline(ready: Make) -> None:
    for seed in range(6):
        found = search(ready(job(20 + seed, 4, seed=seed, slack=1.3)))
        known = [c for c in found.baselines_ms.values() if c is not None]
        assert "neuroshard" in found.baselines_ms
        assert found.oracle_ms <= min(known) * (1 + 1e-9)


def test_shards_price_as_the_search_says(ready: Make) -> None:
    r = ready(job(18, 4, seed=9))
    found = search(r)
    assert oracle_ms(r.problem, to_shards(r.setup, found.plan)) == pytest.approx(
        found.oracle_ms, rel=1e-9
    )


def reference(r: Ready, net, exchange, beam: BeamOptions) -> float:
    """NeuroShard's algorithm once more, plainly, table by table, as section 1.5-1.8 of the paper's code has it."""
    options, capacity, devices = r.setup.items.options, r.setup.capacity[0], 4
    embedding = net.embedding[0]
    single = net.single[0]

    def place(state: list[int], cap: float) -> float:
        order = sorted(range(len(state)), key=lambda i: single[state[i]])
        held: list[list[int]] = [[] for _ in range(devices)]
        cost = [0.0] * devices
        mean = sum(options.dim[o] for o in state) / devices
        while order:
            o = state[order.pop()]
            able = [
                d
                for d in range(devices)
                if sum(options.memory[q] for q in held[d]) + options.memory[o] <= capacity
                and sum(options.dim[q] for q in held[d]) + options.dim[o]
                <= cap * mean + 1e-9
            ]
            if not able:
                return np.inf
            chosen = min(
                able, key=lambda d: (cost[d], sum(options.memory[q] for q in held[d]))
            )
            held[chosen].append(o)
            cost[chosen] = float(net.heads[0](embedding[held[chosen]].sum(0)[None])[0])
        dims = np.array([float(sum(options.dim[q] for q in h)) for h in held])
        return float(exchange.total(np.array(cost), dims))

    def grade(state: list[int]) -> float:
        return min(place(state, cap) for cap in np.linspace(1.0, 1.5, beam.grid))

    start = list(map(int, r.setup.items.whole))
    states, best = [start], grade(start)
    for _ in range(beam.levels):
        offers: dict[tuple[int, ...], tuple[float, list[int]]] = {}
        for state in states:
            by_memory = sorted(range(len(state)), key=lambda i: -options.memory[state[i]])[
                : beam.candidates
            ]
            by_cost = sorted(range(len(state)), key=lambda i: -single[state[i]])[
                : beam.candidates
            ]
            for i in dict.fromkeys(by_memory + by_cost):
                half = int(options.half[state[i]])
                if half >= 0:
                    new = [*state, half]
                    new[i] = half
                    offers.setdefault(tuple(sorted(new)), (grade(new), new))
        ranked = sorted(offers.values(), key=lambda offer: offer[0])[: beam.width]
        states = [new for _, new in ranked]
        best = min([best, *(cost for cost, _ in ranked)])
    return best


@pytest.mark.parametrize("seed", range(3))
def test_faithful_mode_is_the_reference_algorithm(ready: Make, seed: int) -> None:
    r = ready(job(12, 4, seed=seed, slack=1.4))
    beam = BeamOptions(levels=3, width=2, candidates=3, grid=5)
    paper = r.models.paper(r.setup.items, r.setup.arrays, Hardware.A100, 4)
    found = neuroshard(
        r.setup.items,
        paper,
        r.setup.capacity,
        beam,
        stop=lambda: False,
        on_best=lambda plan, cost: None,
    )
    assert found.cost == pytest.approx(reference(r, paper, paper.exchange, beam), rel=1e-9)

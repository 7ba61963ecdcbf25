"""The eight phases of the search: rivals, pack, beam, split, descend, kick, choose, polish.

Each takes the state and adds plans to its pool, or chooses among them. Every phase looks at the
clock and ends early when `stop` is true.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from search.domains.sharding.encode.plan import Plan, merged
from search.domains.sharding.search.beam import beam_search
from search.domains.sharding.search.deadlines import seconds_left
from search.domains.sharding.search.greedy import greedy_grid, paper_caps
from search.domains.sharding.search.level import fill, level_plans
from search.domains.sharding.search.local_search import LocalSearch
from search.domains.sharding.search.packing import pack as pack_exactly
from search.domains.sharding.search.polish import polish as polish_plan
from search.domains.sharding.search.starts import (
    baseline_plans,
    pack_with_splits,
    split_heavy,
)
from search.domains.sharding.search.state import PlanPool, SearchState
from trimtab.specs.sharding import BeamOptions

_MAX_KICKED_SHARDS = 4
_LEAST_GAIN = 1e-6  # relative; a smaller gain of a kick does not count as one


class NothingFits(Exception):
    """No plan respects memory and pins, as branch and bound proved."""


def rivals(state: SearchState, others: Callable[[], Mapping[str, Plan | None]]) -> None:
    """Price the plans of the baselines and of `others`, which are named planners."""
    inputs = state.inputs
    own = baseline_plans(
        inputs.items, inputs.oracle.arrays, inputs.limits.capacity, state.rng
    )
    named = itertools.chain(own, () if state.stop() else others().items())
    for name, rival in named:
        if state.pool.plans and state.stop():
            break
        state.baselines_ms[name] = None
        if rival is not None:
            plan = merged(inputs.items, rival)
            state.baselines_ms[name] = state.oracle_cost(plan)
            state.pool.add(plan)


def pack(state: SearchState) -> None:
    """Find one plan that fits: by greedy packing, by cutting shards, or by branch and bound.

    Raises NothingFits when branch and bound proves that none exists.
    """
    inputs = state.inputs
    items, capacity = inputs.items, inputs.limits.capacity
    plan = pack_with_splits(items, state.option_load, state.forced, capacity)
    if plan is None:
        plan = fill(items, state.option_load, capacity, state.forced, np.inf)
    if plan is None and not state.stop():
        seconds = min(inputs.effort.pack_seconds, seconds_left(state.stop))
        plan, impossible = pack_exactly(items, capacity, seconds=seconds)
        if impossible:
            raise NothingFits
    if plan is not None:
        state.packed = plan
        state.pool.add(plan)
        state.report(plan, inputs.oracle.cost(plan))


def beam(state: SearchState) -> None:
    """Search column splits by beam; large problems get the greedy grid alone."""
    inputs = state.inputs
    if state.packed is None or state.stop():
        return
    shards = state.forced
    if len(state.packed.option) != len(shards):  # packing had to cut differently
        shards = state.packed.option
    options, patience = inputs.beam, inputs.effort.patience
    if len(shards) > inputs.effort.beam_shards:
        options = BeamOptions(levels=0, width=1, candidates=1, grid=inputs.beam.grid)
    result = beam_search(
        inputs.items,
        inputs.model,
        shards,
        inputs.limits.capacity,
        options,
        patience=patience,
        stop=state.stop,
    )
    for plan in result.plans:
        state.pool.add(plan)


def split(state: SearchState) -> None:
    """Add starts with shards split beforehand: level ones, and ones without heavy shards."""
    if state.packed is not None:
        _level_starts(state)
        for share in state.inputs.effort.shares:
            if state.stop():
                break
            _light_start(state, state.packed.option, share)


def _level_starts(state: SearchState) -> None:
    """Add plans that give every device about as many columns; the oracle prices the best ones."""
    inputs = state.inputs
    level = PlanPool(inputs.items, inputs.model)
    for plan in level_plans(
        inputs.items,
        state.option_load,
        inputs.limits.capacity,
        state.forced,
        caps=inputs.effort.level_caps,
        fast=inputs.effort.fast,
    ):
        state.pool.add(plan)
        level.add(plan)
        if state.stop():
            break
    for plan in level.best(inputs.effort.levelled) if not state.stop() else ():
        state.level_ms[plan.source] = state.oracle_cost(plan)


def _light_start(state: SearchState, shards: np.ndarray, share: float) -> None:
    """Halve shards that cost more than `share` of a mean device load, and place all shards."""
    inputs = state.inputs
    items, model, capacity = inputs.items, inputs.model, inputs.limits.capacity
    light = split_heavy(items, model.single.mean(0), shards, share, model.devices)
    if len(light) == len(shards):
        return
    # The last cap is none: when memory is tight, column sums cannot be even as well.
    caps = np.append(paper_caps(inputs.effort.caps), np.inf)
    graded = greedy_grid(items, model, light[None], capacity, caps, stop=state.stop)
    if np.isfinite(graded.cost[0]):
        state.pool.add(Plan.of(light, graded.device[0], f"split {share:g}"))
        return
    packed = pack_with_splits(items, state.option_load, light, capacity)
    if packed is not None:
        state.pool.add(packed)


def descend(state: SearchState) -> None:
    """Improve the cheapest plans by local search under the model."""
    inputs = state.inputs
    for plan in state.pool.best(inputs.effort.starts):
        if state.stop():
            break
        search = LocalSearch(inputs.items, inputs.model, plan, inputs.limits)
        search.descend(state.stop)
        state.steps += search.steps
        state.pool.add(search.plan)
        state.oracle_cost(search.plan)


def kick(state: SearchState) -> None:
    """Move a few random shards of the best plan and descend again, until no kick helps.

    Skipped when moved bytes are limited: kicks would use them up.
    """
    inputs = state.inputs
    idle = 0
    while not state.moves_limited and idle < inputs.effort.kicks and not state.stop():
        before = state.pool.best_cost
        search = LocalSearch(
            inputs.items, inputs.model, state.pool.best(1)[0], inputs.limits
        )
        search.kick(state.rng, int(state.rng.integers(1, _MAX_KICKED_SHARDS + 1)))
        search.descend(state.stop)
        state.steps += search.steps
        state.kicks += 1
        state.pool.add(search.plan)
        idle = 0 if search.cost < before * (1 - _LEAST_GAIN) else idle + 1


def choose(state: SearchState) -> None:
    """Let the oracle choose among the model's best plans, the rivals and the level starts."""
    for plan in state.pool.best(state.inputs.effort.top):
        too_expensive = state.best is not None and (
            state.stop() or state.model_cost(plan) > state.model_ceiling_ms
        )
        if too_expensive:
            break
        cost = state.oracle_cost(plan)
        if cost < state.best_ms:
            state.best, state.best_ms = plan, cost
    priced = state.level_ms | {
        name: cost for name, cost in state.baselines_ms.items() if cost is not None
    }
    for plan in state.pool.from_sources(priced):
        if priced[plan.source] < state.best_ms:
            state.best, state.best_ms = plan, priced[plan.source]


def polish(state: SearchState) -> None:
    """Improve the oracle's choice and the model's best plans by the oracle itself."""
    inputs = state.inputs
    chosen = state.best
    assert chosen is not None
    others = [p for p in state.pool.best(inputs.effort.polished) if p is not chosen]
    for start in (chosen, *others):
        ceiling_ms = max(state.model_ceiling_ms, state.model_cost(start))
        plan, cost, evaluations = polish_plan(
            inputs.items,
            inputs.oracle,
            start,
            inputs.limits,
            state.rng,
            evaluations=inputs.effort.polish,
            allowed=partial(_within, state, ceiling_ms),
            stop=state.stop,
        )
        state.oracle_evaluations += evaluations
        if cost < state.best_ms:
            state.best, state.best_ms = plan, cost
            state.report(plan, cost)


def _within(state: SearchState, ceiling_ms: float, plan: Plan) -> bool:
    return state.model_cost(plan) <= ceiling_ms

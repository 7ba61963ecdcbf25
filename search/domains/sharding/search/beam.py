"""Column-wise beam search (NeuroShard section 1.7) around the greedy grid search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.greedy import Graded, greedy_grid, paper_caps
from search.domains.sharding.search.plan_model import PlanModel
from trimtab.specs.sharding import BeamOptions

Grade = Callable[[np.ndarray], Graded]  # (N, S) options → their best assignments


@dataclass(frozen=True, kw_only=True)
class BeamResult:
    """The cheapest plan met, or None when none fitted, and the best few of each level."""

    best: Plan | None
    cost: float
    plans: tuple[Plan, ...]
    graded: int  # candidates priced


def beam_search(
    items: Items,
    model: PlanModel,
    start: np.ndarray,
    capacity: np.ndarray,
    options: BeamOptions,
    *,
    patience: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_best: Callable[[Plan, float], object] = lambda plan, cost: None,
) -> BeamResult:
    """Split one shard more at each of L levels; keep the K cheapest column plans, even when dearer than their parent.

    Candidates to split are the N largest by memory and the N dearest alone; a half takes the split shard's place in
    the list and the other goes to the end. The paper always runs all levels; `patience` ends after so many without gain.
    """
    caps = paper_caps(options.grid)
    beam = [np.asarray(start)]
    best: Plan | None = None
    best_cost = np.inf
    kept: list[Plan] = []
    graded = idle = 0
    for level in range(options.levels + 1):
        candidates = (
            [start[None]]
            if level == 0
            else [_splits(items, model, state, options.candidates) for state in beam]
        )
        lists = (
            np.concatenate([c for c in candidates if len(c)])
            if any(len(c) for c in candidates)
            else None
        )
        if lists is None:
            break
        if level:
            lists = _distinct(lists)
        found = greedy_grid(items, model, lists, capacity, caps, stop=stop)
        graded += len(lists)
        order = np.argsort(found.cost, kind="stable")
        beam = [lists[i] for i in order[: options.width]]
        idle += 1
        for i in order[: options.width]:
            if np.isfinite(found.cost[i]):
                plan = Plan.of(lists[i], found.device[i], f"beam {level}")
                kept.append(plan)
                if found.cost[i] < best_cost:
                    best, best_cost, idle = plan, float(found.cost[i]), 0
                    on_best(plan, best_cost)
        if stop() or (patience is not None and idle > patience):
            break
    return BeamResult(best=best, cost=best_cost, plans=tuple(kept), graded=graded)


def _splits(items: Items, model: PlanModel, state: np.ndarray, count: int) -> np.ndarray:
    """Every state one split away, by memory first, then by cost.  # (N, S + 1)"""
    options = items.options
    by_memory = np.argsort(-options.memory[state], kind="stable")[:count]
    by_cost = np.argsort(-model.single.mean(0)[state], kind="stable")[:count]
    places = [
        p
        for p in dict.fromkeys([*by_memory.tolist(), *by_cost.tolist()])
        if options.half[state[p]] != NONE
    ]
    found = np.empty((len(places), len(state) + 1), dtype=np.int64)
    for row, place in zip(found, places, strict=True):
        row[:-1] = state
        row[place], row[-1] = options.half[state[place]], options.rest[state[place]]
    return found


def _distinct(lists: np.ndarray) -> np.ndarray:
    """Without lists that hold the same shards: equal column plans reached along other ways."""
    _, first = np.unique(np.sort(lists, axis=1), axis=0, return_index=True)
    return lists[np.sort(first)]

"""Column-wise beam search of NeuroShard (Zha et al., MLSys 2023) around the greedy grid search.

The parameters and their meaning: deploy/docs/design/sharding.md, "Beam search".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.deadlines import Stop, never
from search.domains.sharding.search.greedy import greedy_grid, paper_caps
from search.domains.sharding.search.plan_model import PlanModel
from trimtab.specs.sharding import BeamOptions


@dataclass(frozen=True, kw_only=True)
class BeamResult:
    """Cheapest plan of a beam search, and the best few of each level."""

    best: Plan | None  # None when no plan fits
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
    stop: Stop = never,
    on_best: Callable[[Plan, float], object] = lambda plan, cost: None,
) -> BeamResult:
    """Split one more shard per level, L levels deep, and keep the K cheapest column plans.

    Plans stay in the beam even when they cost more than their parent. Candidates to split are the
    N largest by memory and the N most expensive alone; one half replaces the split shard in the
    list, the other is appended.

    start: (S,) options of the first column plan.
    patience: end after this many levels without a better plan; None: all levels, as in the paper.
    """
    caps = paper_caps(options.grid)
    beam = [np.asarray(start)]
    best: Plan | None = None
    best_cost = np.inf
    plans: list[Plan] = []
    graded = idle = 0
    for level in range(options.levels + 1):
        candidates = [start[None]]
        if level:
            candidates = [
                _splits(items, model, state, options.candidates) for state in beam
            ]
        candidates = [lists for lists in candidates if len(lists)]
        if not candidates:
            break
        lists = np.concatenate(candidates)
        if level:
            lists = _distinct(lists)
        grades = greedy_grid(items, model, lists, capacity, caps, stop=stop)
        graded += len(lists)
        ranked = np.argsort(grades.cost, kind="stable")[: options.width]
        beam = [lists[i] for i in ranked]
        idle += 1
        for i in ranked:
            if np.isfinite(grades.cost[i]):
                plan = Plan.of(lists[i], grades.device[i], f"beam {level}")
                plans.append(plan)
                if grades.cost[i] < best_cost:
                    best, best_cost, idle = plan, float(grades.cost[i]), 0
                    on_best(plan, best_cost)
        if stop() or (patience is not None and idle > patience):
            break
    return BeamResult(best=best, cost=best_cost, plans=tuple(plans), graded=graded)


def _splits(items: Items, model: PlanModel, state: np.ndarray, count: int) -> np.ndarray:
    """Return (N, S + 1) every state one split away, first by memory, then by cost."""
    options = items.options
    by_memory = np.argsort(-options.memory[state], kind="stable")[:count]
    by_cost = np.argsort(-model.single.mean(0)[state], kind="stable")[:count]
    places = [
        p
        for p in dict.fromkeys([*by_memory.tolist(), *by_cost.tolist()])
        if options.half[state[p]] != NONE
    ]
    states = np.empty((len(places), len(state) + 1), dtype=np.int64)
    for row, place in zip(states, places, strict=True):
        row[:-1] = state
        row[place], row[-1] = options.half[state[place]], options.rest[state[place]]
    return states


def _distinct(lists: np.ndarray) -> np.ndarray:
    """Drop lists with the same shards: equal column plans reached by different splits."""
    _, first = np.unique(np.sort(lists, axis=1), axis=0, return_index=True)
    return lists[np.sort(first)]

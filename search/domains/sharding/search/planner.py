"""Search for the cheapest plan: starts, beam, local search, kicks, the oracle's choice, polish."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from search.domains.sharding.encode.plan import Plan, fits
from search.domains.sharding.search import phases
from search.domains.sharding.search.deadlines import Stop
from search.domains.sharding.search.state import SearchInputs, SearchState


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The best plan of a search and the figures of its phases."""

    plan: Plan
    model_ms: float
    # Of the cheapest plan under the model: the certificate's search gap is relative to it.
    model_best_ms: float
    oracle_ms: float
    oracle_evaluations: int  # plans and polishing steps the oracle priced
    steps: int  # local search steps taken
    kicks: int
    # None: did not fit.
    baselines_ms: dict[str, float | None] = field(default_factory=dict)


def search_plan(
    inputs: SearchInputs,
    rng: np.random.Generator,
    *,
    rivals: Callable[[], Mapping[str, Plan | None]],
    stop: Stop,
    on_better: Callable[[Plan, float, str], object],
) -> SearchResult | None:
    """Return the best plan by the oracle, at most as expensive as any baseline that fits.

    rivals: plans of further planners by name, treated like the baselines.
    on_better: receives each plan that the oracle prices below all before it.
    None when no plan was found. Raises NothingFits with a proof that none exists.
    """
    state = SearchState(inputs=inputs, rng=rng, stop=stop, on_better=on_better)
    current = inputs.current
    if current is not None and fits(inputs.items, current, inputs.limits.capacity):
        state.pool.add(current)
        state.report(current, inputs.oracle.cost(current))
    if not state.moves_limited:
        phases.rivals(state, rivals)
        phases.pack(state)
        phases.beam(state)
        phases.split(state)
    if not state.pool.plans:
        return None
    phases.descend(state)
    phases.kick(state)
    phases.choose(state)
    phases.polish(state)
    assert state.best is not None
    return SearchResult(
        plan=state.best,
        model_ms=state.model_cost(state.best),
        model_best_ms=state.pool.best_cost,
        oracle_ms=state.best_ms,
        oracle_evaluations=state.oracle_evaluations,
        steps=state.steps,
        kicks=state.kicks,
        baselines_ms=state.baselines_ms,
    )

"""Outcome of a run: termination, bound and summary that its state supports."""

from __future__ import annotations

import math
from typing import Any

from cost_models.weights import digest
from search.domains.ilp.search.messages import EngineEnded
from search.domains.ilp.search.state import ABSOLUTE_GAP, RunState, in_user_sense
from search.lns.arms import ARMS
from search.lns.structure import structure
from search.stop import StoppingCriterion
from search.types import SearchOutcome
from solvers.types import MilpModel
from trimtab.results import Limit, Reason, Termination

_WITHOUT_SOLUTION = (
    Reason.INFEASIBLE,
    Reason.UNBOUNDED,
    Reason.INFEASIBLE_OR_UNBOUNDED,
)
CRASHED = "crashed"  # reason of an engine that died


def model_figures(model: MilpModel, engine: str) -> dict[str, Any]:
    """Return the part of a summary that depends on the model and the engine's name alone."""
    return {
        "columns": model.n,
        "integer_columns": int(model.integrality.sum()),
        "rows": model.m,
        "nonzeros": model.nnz,
        "engine": engine,
    }


def outcome_of(
    model: MilpModel,
    state: RunState,
    stop: StoppingCriterion,
    engine: str,
    with_lns: bool,
) -> SearchOutcome:
    """Return the outcome of a run that has ended, with its summary."""
    termination = termination_of(state, stop, engine)
    if termination.reason is Reason.OPTIMAL:
        # It may overshoot by the tolerance.
        state.bound = min(state.bound, state.objective)
        if state.objective - state.bound <= ABSOLUTE_GAP:
            state.bound = state.objective  # both are 0 but for rounding: no gap of 100 %
    bound = state.reported_bound()
    if termination.reason in _WITHOUT_SOLUTION:
        state.x, bound = None, state.bound
    return SearchOutcome(
        termination=termination,
        solution=state.x,
        objective=None if state.x is None else in_user_sense(model, state.objective),
        bound=in_user_sense(model, bound),
        sense="maximize" if model.maximize else "minimize",
        summary=_summary(model, state, engine, with_lns, termination.reason),
        weights=_weights(state),
    )


def _summary(
    model: MilpModel, state: RunState, engine: str, with_lns: bool, reason: Reason
) -> dict[str, Any]:
    end = state.engine_end
    summary = {
        **model_figures(model, engine),
        "engine_nodes": 0 if end is None else end.nodes,
        "lns": with_lns,
        "structure": structure(model).as_summary(),
        "lns_iterations": state.lns_iterations,
        "best_found_by": state.source or None,
        "notes": state.notes,
    }
    if state.lns_statistics is not None:
        summary["lns_arms"] = state.lns_statistics.arms
        summary["lns_solver_seconds"] = state.lns_statistics.solver_seconds
    if state.lns_start is not None:
        summary["lns_started_from"] = in_user_sense(model, state.lns_start.objective)
        summary["lns_started_by"] = state.lns_start.heuristic
    if (
        reason is Reason.INFEASIBLE
        and end is not None
        and end.infeasible_rows is not None
    ):
        summary["infeasible_subset"] = {
            "rows": end.infeasible_rows,
            "columns": end.infeasible_columns,
        }
    return summary


def _weights(state: RunState) -> dict[str, str]:
    """Return the digests of the learned weights that arms used."""
    called = {} if state.lns_statistics is None else state.lns_statistics.arms
    names = [arm.weights for arm in ARMS if arm.word.value in called]
    return {name: digest(name) for name in names if name is not None}


def termination_of(state: RunState, stop: StoppingCriterion, engine: str) -> Termination:
    """Return the reason, limit and detail that incumbent, bound and the engine's end support."""
    end = state.engine_end or EngineEnded(reason="")
    if end.reason == "infeasible" and state.x is None and math.isfinite(state.cutoff):
        return Termination(
            reason=Reason.NO_SOLUTION_FOUND,
            limit=Limit.CUTOFF,
            detail=f"no solution is as good as the cutoff (proved by {engine})",
        )
    if end.reason in ("infeasible", "infeasible_or_unbounded") and state.x is not None:
        # Two programs disagree. The solution will be checked exactly; the claim cannot be.
        state.notes.append(f"{engine} claims {end.reason}, but there is a solution")
        return Termination(
            reason=Reason.FEASIBLE,
            limit=Limit.OTHER,
            detail=f"{engine} claimed {end.reason} although there is a solution",
        )
    if end.reason in {reason.value for reason in _WITHOUT_SOLUTION}:
        return Termination(
            reason=Reason(end.reason), detail=end.detail or f"proved by {engine}"
        )
    if state.contradicts():
        state.notes.append(
            f"the bound of {state.bound_by} excludes the best solution, so it is dropped"
        )
        state.bound = -math.inf
    if state.closed():
        prover = engine if end.reason == Reason.OPTIMAL.value else state.bound_by
        return Termination(
            reason=Reason.OPTIMAL,
            detail=f"no better solution exists (proved by {prover})",
        )
    limit = stop.limit or _engine_limit(end)
    if state.x is not None:
        return Termination(
            reason=Reason.FEASIBLE,
            limit=limit,
            detail=_end_detail(limit, engine, end.detail, "with a"),
        )
    if end.reason == CRASHED and stop.limit is None:
        notes = "; ".join(state.notes)
        return Termination(
            reason=Reason.NUMERICAL_ERROR, detail=f"all solver processes ended: {notes}"
        )
    return Termination(
        reason=Reason.NO_SOLUTION_FOUND,
        limit=limit,
        detail=_end_detail(limit, engine, end.detail, "without a"),
    )


def _engine_limit(end: EngineEnded) -> Limit:
    """Return the limit of a run that its own criterion did not end.

    It is the engine's limit, or the time reserved for the check.
    """
    if end.reason in ("", CRASHED):
        return Limit.TIME
    limits = (Limit.TIME, Limit.NODES)
    return next((limit for limit in limits if limit.value == end.limit), Limit.OTHER)


def _end_detail(limit: Limit, engine: str, detail: str, with_a: str) -> str:
    if limit is Limit.OTHER:
        reason = detail or "it gave no reason"
        return f"{engine} ended before the time limit ({reason}), {with_a} solution"
    if limit is Limit.STOPPED:
        return f"stopped by its owner, {with_a} solution"
    return f"ended by the limit on {limit.value.replace('_', ' ')}, {with_a} solution"

"""The outcome of a run: state of the incumbent and bound, and the termination that they support."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from cost_models.weights import digest
from search.domains.ilp.search.lns_process import CL_LNS
from search.isolation import Message
from search.lns.structure import structure
from search.stop import StoppingCriterion
from search.trace import relative_gap
from search.types import SearchOutcome
from solvers.types import Floats, MilpModel
from trimtab.results import Incumbent, Limit, Reason, Termination

PROOF_GAP = 1e-6  # relative; the engine is asked for a little less than its default, so that "optimal" means it
_ABSOLUTE_GAP = 1e-9  # of the scaled objective, whose costs are near 1: for optima of 0


@dataclass
class State:
    """What is known now, minimised sense."""

    objective: float = math.inf
    x: Floats | None = None
    bound: float = -math.inf
    bound_by: str = ""
    source: str = ""
    lns_source: str = "lns:start"
    started_from: float | None = None
    started_by: str = ""
    iterations: int = 0
    arms: Message = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    engine_end: Message | None = None
    lns_ended: bool = False


def point_of(model: MilpModel, state: State) -> Incumbent:
    """Incumbent and bound of this moment, in the author's sense."""
    objective = shown(model, state.objective)
    bound = shown(model, state.bound)
    return Incumbent(
        elapsed_s=0.0,  # the pipeline puts its own clock in
        objective=objective,
        bound=bound,
        gap=relative_gap(objective, bound),
        source=state.source,
    )


def shown(model: MilpModel, value: float) -> float | None:
    """Objective or bound in the author's sense; None while infinite."""
    return model.in_user_sense(value) + 0.0 if math.isfinite(value) else None


def closed(state: State) -> bool:
    """True when incumbent and bound meet within the gap of a proof. A bound beyond the incumbent proves nothing."""
    if state.x is None:
        return False
    return abs(state.objective - state.bound) <= _allowed(state.objective)


def contradicts(state: State) -> bool:
    """True when the incumbent is better than the bound allows: one of the two is wrong."""
    return state.x is not None and state.bound - state.objective > _allowed(state.objective)


def _allowed(objective: float) -> float:
    return max(_ABSOLUTE_GAP, PROOF_GAP * abs(objective))


def figures_of(model: MilpModel, engine: str) -> dict[str, Any]:
    """The part of a summary that the model and the engine's name decide."""
    return {
        "columns": model.n,
        "integer_columns": int(model.integrality.sum()),
        "rows": model.m,
        "nonzeros": model.nnz,
        "engine": engine,
    }


def outcome_of(
    model: MilpModel, state: State, stop: StoppingCriterion, engine: str, with_lns: bool
) -> SearchOutcome:
    """Outcome of a search that has ended, with its summary."""
    termination = termination_of(state, stop, engine)
    if termination.reason is Reason.OPTIMAL:
        state.bound = min(state.bound, state.objective)  # it may overshoot by the tolerance
        if state.objective - state.bound <= _ABSOLUTE_GAP:
            state.bound = state.objective  # both are 0 but for rounding: no gap of 100 %
    if termination.reason in (
        Reason.INFEASIBLE,
        Reason.UNBOUNDED,
        Reason.INFEASIBLE_OR_UNBOUNDED,
    ):
        state.x = None
    summary = {
        **figures_of(model, engine),
        "engine_nodes": (state.engine_end or {}).get("nodes", 0),
        "lns": with_lns,
        "structure": structure(model).as_summary(),
        "lns_iterations": state.iterations,
        "best_found_by": state.source or None,
        "notes": state.notes,
    }
    if state.arms:
        summary["lns_arms"] = state.arms["arms"]
        summary["lns_solver_seconds"] = state.arms["solver_seconds"]
    if state.started_from is not None:
        summary["lns_started_from"] = shown(model, state.started_from)
        summary["lns_started_by"] = state.started_by
    if (state.engine_end or {}).get(
        "infeasible_rows"
    ) is not None and termination.reason is Reason.INFEASIBLE:
        summary["infeasible_subset"] = {
            "rows": state.engine_end["infeasible_rows"],  # type: ignore[index]
            "columns": state.engine_end["infeasible_columns"],  # type: ignore[index]
        }
    return SearchOutcome(
        termination=termination,
        solution=state.x,
        objective=shown(model, state.objective) if state.x is not None else None,
        bound=shown(model, state.bound),
        sense="maximize" if model.maximize else "minimize",
        summary=summary,
        weights={CL_LNS: digest(CL_LNS)}
        if CL_LNS in (state.arms or {}).get("arms", {})
        else {},
    )


def termination_of(state: State, stop: StoppingCriterion, engine: str) -> Termination:
    """Reason, limit and detail that incumbent, bound and the end of the engine support."""
    end = state.engine_end or {}
    reason = str(end.get("reason", ""))
    detail = str(end.get("detail", ""))
    if reason in ("infeasible", "infeasible_or_unbounded") and state.x is not None:
        # Two programs disagree; the solution will be checked exactly, the claim cannot be.
        state.notes.append(f"{engine} claims {reason}, but a solution was found")
        return Termination(
            reason=Reason.FEASIBLE,
            limit=Limit.OTHER,
            detail=f"{engine} claimed {reason} against a solution in hand",
        )
    if reason in ("infeasible", "unbounded", "infeasible_or_unbounded"):
        return Termination(reason=Reason(reason), detail=detail or f"proved by {engine}")
    if contradicts(state):
        state.notes.append(
            f"the bound of {state.bound_by} excludes a solution that was found, so it is dropped"
        )
        state.bound = -math.inf
    if closed(state):
        by = engine if reason == "optimal" else state.bound_by
        return Termination(
            reason=Reason.OPTIMAL, detail=f"no better solution exists (proved by {by})"
        )
    limit = stop.limit or _limit_of(end, reason)
    if state.x is None:
        notes = "; ".join(state.notes)
        if reason == "crashed" and stop.limit is None:
            return Termination(
                reason=Reason.NUMERICAL_ERROR, detail=f"no solver is left: {notes}"
            )
        return Termination(
            reason=Reason.NO_SOLUTION_FOUND,
            limit=limit,
            detail=_ended(limit, engine, detail, "without a"),
        )
    return Termination(
        reason=Reason.FEASIBLE, limit=limit, detail=_ended(limit, engine, detail, "with a")
    )


def _limit_of(end: Message, reason: str) -> Limit:
    """The limit of a run that its owner's criterion did not end: the engine's own, or the time kept back for the check."""
    if not end or reason == "crashed":
        return Limit.TIME
    return Limit.TIME if end.get("limit") == Limit.TIME.value else Limit.OTHER


def _ended(limit: Limit, engine: str, detail: str, with_a: str) -> str:
    if limit is Limit.OTHER:
        return f"{engine} ended before the time was over ({detail or 'it gave no reason'}), {with_a} solution in hand"
    return f"ended by the limit {limit.value} {with_a} solution in hand"

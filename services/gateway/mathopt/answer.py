"""Answers to MathOpt's remote client: JSON of SolveMathOptModelResponse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from services.gateway.mathopt.request import Filter, SolveRequest
from trimtab.doors.answer import Answer
from trimtab.results import Limit, Reason

_LIMITS = {
    Limit.TIME: "LIMIT_TIME",
    Limit.STOPPED: "LIMIT_INTERRUPTED",
    Limit.MEMORY: "LIMIT_MEMORY",
    # Its protocol has LIMIT_CUTOFF, but the Python client of 9.15 cannot read it.
    Limit.CUTOFF: "LIMIT_OTHER",
    Limit.OBJECTIVE: "LIMIT_OBJECTIVE",
    Limit.BOUND: "LIMIT_OBJECTIVE",
    Limit.NODES: "LIMIT_NODE",
    Limit.SOLUTIONS: "LIMIT_SOLUTION",
}
_REASONS = {
    Reason.OPTIMAL: "OPTIMAL",
    Reason.FEASIBLE: "FEASIBLE",
    Reason.NO_SOLUTION_FOUND: "NO_SOLUTION_FOUND",
    Reason.INFEASIBLE: "INFEASIBLE",
    Reason.UNBOUNDED: "UNBOUNDED",
    Reason.INFEASIBLE_OR_UNBOUNDED: "INFEASIBLE_OR_UNBOUNDED",
    Reason.NUMERICAL_ERROR: "NUMERICAL_ERROR",
    Reason.VERIFICATION_FAILED: "NUMERICAL_ERROR",
}
_YES, _NO, _OPEN = (
    f"FEASIBILITY_STATUS_{word}" for word in ("FEASIBLE", "INFEASIBLE", "UNDETERMINED")
)


def answer_json(
    request: SolveRequest, answer: Answer, *, node_count: int, messages: Sequence[str]
) -> dict[str, Any]:
    """Return the response. `answer` is by the file's names: columns x0, …, rows r0, …"""
    return {
        "result": {
            "termination": _termination(answer),
            "solutions": _solutions(request, answer),
            "solveStats": {
                "solveTime": f"{max(0.0, answer.seconds):.6f}s",
                "nodeCount": str(max(0, node_count)),
            },
        },
        "messages": list(messages),
    }


def _termination(answer: Answer) -> dict[str, Any]:
    reason = _REASONS.get(answer.reason, "OTHER_ERROR")
    if answer.is_optimal():
        reason = "OPTIMAL"  # within the gaps of the request, as MathOpt defines it
    ended: dict[str, Any] = {
        "reason": f"TERMINATION_REASON_{reason}",
        "detail": answer.detail,
        "problemStatus": _problem_status(answer),
        "objectiveBounds": _bounds(answer),
    }
    if reason in ("FEASIBLE", "NO_SOLUTION_FOUND"):
        limit = answer.limit
        ended["limit"] = (
            "LIMIT_UNDETERMINED" if limit is None else _LIMITS.get(limit, "LIMIT_OTHER")
        )
    return ended


def _problem_status(answer: Answer) -> dict[str, Any]:
    match answer.reason:
        case Reason.INFEASIBLE:
            return {"primalStatus": _NO, "dualStatus": _OPEN}
        case Reason.UNBOUNDED:
            return {"primalStatus": _YES, "dualStatus": _NO}
        case Reason.INFEASIBLE_OR_UNBOUNDED:
            return {
                "primalStatus": _OPEN,
                "dualStatus": _OPEN,
                "primalOrDualInfeasible": True,
            }
    return {
        "primalStatus": _YES if answer.has_solution else _OPEN,
        "dualStatus": _OPEN if answer.bound is None else _YES,
    }


def _bounds(answer: Answer) -> dict[str, Any]:
    worst = -math.inf if answer.sense == "maximize" else math.inf
    primal = worst if answer.objective is None else answer.objective
    dual = -worst if answer.bound is None else answer.bound
    if answer.reason is Reason.UNBOUNDED:
        primal = dual = -worst
    return {"primalBound": _number(primal), "dualBound": _number(dual)}


def _solutions(request: SolveRequest, answer: Answer) -> list[dict[str, Any]]:
    """Return the solutions, the best first; the first one of an LP with duals."""
    if answer.nonzeros is None:
        return []
    found = [(answer.objective, answer.nonzeros)]
    found += [(one.objective, one.nonzeros) for one in answer.pool[1:]]
    wanted = request.model_parameters.variable_values_filter
    ids = request.model.variables.ids
    solutions: list[dict[str, Any]] = [
        {
            "primalSolution": {
                "variableValues": _vector(ids, "x", nonzeros, wanted),
                "objectiveValue": objective,
                "feasibilityStatus": "SOLUTION_STATUS_FEASIBLE",
            }
        }
        for objective, nonzeros in found
    ]
    if answer.duals is not None and answer.reduced_costs is not None:
        more = request.model_parameters
        rows = request.model.linear_constraints.ids
        solutions[0]["dualSolution"] = {
            "dualValues": _vector(rows, "r", answer.duals, more.dual_values_filter),
            "reducedCosts": _vector(
                ids, "x", answer.reduced_costs, more.reduced_costs_filter
            ),
            "objectiveValue": answer.objective,
            "feasibilityStatus": "SOLUTION_STATUS_FEASIBLE",
        }
    return solutions


def _vector(
    ids: Sequence[int], letter: str, values: Mapping[str, float], wanted: Filter
) -> dict[str, Any]:
    chosen = set(wanted.filtered_ids) if wanted.filter_by_ids else None
    pairs = [
        (id, float(values.get(f"{letter}{place}", 0.0)))
        for place, id in enumerate(ids)
        if chosen is None or id in chosen
    ]
    if wanted.skip_zero_values:
        pairs = [(id, value) for id, value in pairs if value]
    return {"ids": [str(id) for id, _ in pairs], "values": [value for _, value in pairs]}


def _number(value: float) -> float | str:
    """Return a number as protobuf JSON has it."""
    if math.isfinite(value):
        return value
    return "Infinity" if value > 0 else "-Infinity"

"""Summary and termination of a search, as the job's result reports them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from search.domains.compile.answer import (
    PROMISE_OF_SIZE,
    PROMISE_OF_TIME,
    CompileSolution,
    target_text,
)
from search.domains.compile.parse.sources import listed
from search.domains.compile.search.state import SearchState, Trials
from trimtab.results import Limit, Reason, Termination

_SHOWN_QUARANTINED = 40


def termination_of(state: SearchState, solution: CompileSolution) -> Termination:
    """Return why the search ended, with the result in one line."""
    detail = (
        _time_detail(solution) if state.problem.timed else _size_detail(state, solution)
    )
    if state.stop.limit is not None or state.over():
        limit = state.stop.limit or Limit.TIME
        return Termination(reason=Reason.FEASIBLE, limit=limit, detail=detail)
    return Termination(reason=Reason.COMPLETED, detail=detail)


def _time_detail(solution: CompileSolution) -> str:
    if solution.timing is None:
        return "no pipeline was measurably faster than -O2"
    return solution.timing.sentence()


def _size_detail(state: SearchState, solution: CompileSolution) -> str:
    metric = state.problem.metric
    size, oz = solution.objective, float(solution.levels["Oz"].of(metric))
    detail = f"{size:,.0f} {metric.value.replace('_', ' ')}"
    if oz:
        detail += f", {100 * (size - oz) / oz:+.2f} % against -Oz"
    if solution.why_unvalidated:
        detail += f"; unvalidated: {solution.why_unvalidated}"
    return detail


def summary_of(
    state: SearchState,
    solution: CompileSolution,
    trials: Trials,
    notes: list[str],
    seconds: float,
) -> dict[str, Any]:
    """Return the summary of a search that took `seconds`."""
    problem, prepared = state.problem, state.prepared
    outcomes = Counter(measured.outcome.value for _, measured in trials.table)
    return {
        "llvm": prepared.installed.build_id,
        "target": target_text(problem.machine),
        "sources": listed(problem.sources),
        "instructions": prepared.engine.info.ir_instructions,
        "objective": problem.spec.objective.value,
        "oz": solution.levels["Oz"].of(problem.metric),
        "saved": solution.saved(problem.metric),
        "found_by": solution.name,
        "pipelines_tried": trials.count or len(trials.table),
        "outcomes": dict(sorted(outcomes.items())),
        "policy": trials.policy,
        "behaviour": solution.behaviour,
        "promise": PROMISE_OF_TIME if problem.timed else PROMISE_OF_SIZE,
        **({"time": solution.time} if problem.timed else {}),
        "search_s": seconds,
        "sizes": solution.size_table,
        "quarantined": [
            {
                "name": bad.name,
                "why": bad.why,
                "bytes": bad.objective,
                "first_bad_pass": bad.reproducer.last_pass if bad.reproducer else None,
            }
            for bad in solution.quarantined[:_SHOWN_QUARANTINED]
        ],
        "notes": notes,
    }

"""Summary and termination of a search, as the job's result reports them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from search.domains.compile.answer import (
    CompileSolution,
    promise_of,
    target_text,
)
from search.domains.compile.parse.sources import listed
from search.domains.compile.search.state import SearchState, Trials
from search.domains.compile.usage import usage_summary
from trimtab.results import Limit, Reason, Termination

_SHOWN_QUARANTINED, _SHOWN_KEPT = 40, 40


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
    size, oz = solution.objective, float(solution.oz.of(metric))
    detail = f"{size:,.0f} {metric.value.replace('_', ' ')}"
    if oz:
        detail += f", {100 * (size - oz) / oz:+.2f} % against {solution.reference_name}"
    if solution.why_unvalidated:
        detail += f"; unvalidated: {solution.why_unvalidated}"
    return detail


def image_summary(solution: CompileSolution) -> dict[str, Any]:
    """Return the part of a summary that a linked program has."""
    image = solution.image
    if image is None:
        return {}
    plain = image.flags
    return {
        "compared_with": solution.reference,
        "answer_by": image.by,
        "ram_bytes": solution.sizes.ram_bytes,
        "fits": not image.overflow,
        **({"overflow": image.overflow} if image.overflow else {}),
        "kept": dict(sorted(image.kept.items())[:_SHOWN_KEPT]),
        **(
            {
                "plain_flags": " ".join(
                    dict.fromkeys((*plain.compile_flags, *plain.link_flags))
                ),
                "plain_flags_flash_bytes": plain.sizes.loadable_bytes,
            }
            if plain
            else {}
        ),
    }


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
        "oz": solution.oz.of(problem.metric),
        "saved": solution.saved(problem.metric),
        "found_by": solution.name,
        "pipelines_tried": trials.count or len(trials.table),
        "outcomes": dict(sorted(outcomes.items())),
        "policy": trials.policy,
        "behaviour": solution.behaviour,
        "promise": promise_of(timed=problem.timed, image=solution.image is not None),
        **image_summary(solution),
        **({"time": solution.time} if problem.timed else {}),
        "search_s": seconds,
        "sizes": solution.size_table,
        **(
            usage_summary(solution.image.before, solution.image.used)
            if solution.image
            else {}
        ),
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

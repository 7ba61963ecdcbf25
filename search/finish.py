"""Finish a run whose process died: parse → restore → verify → produce → RunResult, in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from search import checkpoint
from search.checkpoint import Checkpoint
from search.conclude import Course, Finished, PhaseClock, conclude
from search.types import Domain, HasBaseline, OnPhase, SearchOutcome
from trimtab.results import Incumbent, Limit, Reason, Termination
from trimtab.specs.common import Spec


class CannotFinish(Exception):
    """The restored solution is not verified: the run ends as it would have without a checkpoint."""


def finish(
    domain: Domain[Any, Any, Any],
    spec: Spec,
    *,
    inputs: Mapping[str, Path],
    workdir: Path,
    data: bytes | None,
    ended: Termination,
    seconds: float,
    seed: int,
    decorate: bool = True,
    on_phase: OnPhase = lambda phase, detail: None,
    packages: tuple[str, ...] = (),
) -> Finished:
    """Turn the checkpoint `data` into a result. `ended` says why the search's process is no more.

    Without a checkpoint the domain's baseline is the result, where it has one.

    Raises BadCheckpoint, CannotFinish, and whatever the domain raises.
    """
    packed = (
        Checkpoint(kind=spec.KIND, solution=b"")
        if data is None
        else checkpoint.unpack(data, kind=spec.KIND)
    )
    course = Course(
        domain=domain,
        spec=spec,
        workdir=workdir,
        seed=seed,
        clock=PhaseClock(on_phase, already=packed.timings_s),
        budget_s=seconds,
        packages=packages,
        decorate=decorate,
    )
    for elapsed_s, objective, bound, source in packed.trace:
        course.trace.add(
            Incumbent(elapsed_s=elapsed_s, objective=objective, bound=bound, source=source)
        )
    with course.clock.phase("parse"):
        problem = domain.parse(spec, inputs, workdir)
    outcome: SearchOutcome | None
    if data is not None:
        outcome, what = (
            domain.restore(problem, packed.solution),
            "the best solution it had reported",
        )
    else:
        outcome = domain.baseline(problem) if isinstance(domain, HasBaseline) else None
        what = "the baseline, as it had reported nothing better"
    if outcome is None:
        raise CannotFinish("there is no solution to finish")
    note = f"the run ended early: {ended.detail}; the result is {what}, verified afterwards"
    outcome = replace(
        outcome,
        termination=Termination(
            reason=Reason.FEASIBLE, limit=ended.limit or Limit.OTHER, detail=note
        ),
        bound=packed.bound,
        summary={**outcome.summary, "notes": [*outcome.summary.get("notes", ()), note]},
    )
    newest = course.trace.newest
    finished = conclude(
        course, problem, outcome, searched_s=0.0 if newest is None else newest.elapsed_s
    )
    if finished.result.termination.reason is Reason.VERIFICATION_FAILED:
        raise CannotFinish(finished.result.termination.detail)
    return finished

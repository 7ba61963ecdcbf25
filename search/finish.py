"""Finish a run whose process died: parse → restore → verify → produce → RunResult.

It runs in a process of its own, like the run itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search import checkpoint
from search.checkpoint import Checkpoint
from search.conclude import (
    Course,
    Finished,
    PhaseClock,
    announce_waits,
    conclude,
    wake,
)
from search.rest import Woken
from search.types import Domain, HasBaseline, OnPhase, ProvesByBound, SearchOutcome
from trimtab.results import Incumbent, Limit, Reason, Termination
from trimtab.specs.common import Spec


class CannotFinish(Exception):
    """No solution to restore, or the check refused it: the run ends without a result."""


@dataclass(frozen=True, kw_only=True)
class DeadRun:
    """The remains of a run whose process died."""

    termination: Termination  # why the process died
    checkpoint: bytes | None  # its newest one; None when it reported no solution
    budget_s: float


def finish(
    domain: Domain[Any, Any, Any],
    spec: Spec,
    *,
    inputs: Mapping[str, Path],
    workdir: Path,
    seed: int,
    dead: DeadRun,
    woken: Woken | None = None,
    decorate: bool = True,
    on_phase: OnPhase = lambda phase, detail: None,
) -> Finished:
    """Turn the checkpoint of a dead run into a verified result.

    Without a checkpoint the result is the domain's baseline, if it has one.

    woken: what the run found that was at rest.
    decorate: write the files that decorate the result too.

    Raises BadCheckpoint, CannotFinish, and what the domain raises.
    """
    packed = (
        Checkpoint(kind=spec.KIND, solution=b"")
        if dead.checkpoint is None
        else checkpoint.unpack(dead.checkpoint, kind=spec.KIND)
    )
    course = Course(
        domain=domain,
        spec=spec,
        workdir=workdir,
        seed=seed,
        clock=PhaseClock(on_phase, already=packed.timings_s),
        budget_s=dead.budget_s,
        decorate=decorate,
    )
    for elapsed_s, objective, bound, source in packed.trace:
        course.trace.add(
            Incumbent(
                elapsed_s=elapsed_s, objective=objective, bound=bound, source=source
            )
        )
    announce_waits(domain, course.clock)
    with course.clock.phase("parse"):
        problem = wake(domain, domain.parse(spec, inputs, workdir), woken)
    if dead.checkpoint is None:
        outcome = domain.baseline(problem) if isinstance(domain, HasBaseline) else None
        origin = "the baseline, as it had reported nothing better"
    else:
        outcome = _with_bound(
            domain, problem, domain.restore(problem, packed.solution), packed.bound
        )
        origin = "the best solution it had reported"
    if outcome is None:
        raise CannotFinish("there is no solution to finish")
    newest = course.trace.newest
    finished = conclude(
        course,
        problem,
        _ended_early(outcome, dead.termination, origin),
        searched_s=0.0 if newest is None else newest.elapsed_s,
    )
    if finished.result.termination.reason is Reason.VERIFICATION_FAILED:
        raise CannotFinish(finished.result.termination.detail)
    return finished


def _with_bound(
    domain: Domain[Any, Any, Any],
    problem: Any,
    outcome: SearchOutcome,
    bound: float | None,
) -> SearchOutcome:
    """Return a restored outcome with the bound that the dead run had."""
    if bound is not None and isinstance(domain, ProvesByBound):
        return domain.with_bound(problem, outcome, bound)
    return replace(outcome, bound=bound)


def _ended_early(outcome: SearchOutcome, died: Termination, origin: str) -> SearchOutcome:
    """Return the outcome with the termination of a dead run and a note about it.

    A proof outlives the run that made it: then no limit ended the search.
    """
    note = (
        f"the run ended early: {died.detail}; the result is {origin}, verified afterwards"
    )
    proof = outcome.termination
    proved = proof.reason is Reason.OPTIMAL
    return replace(
        outcome,
        termination=Termination(
            reason=proof.reason if proved else Reason.FEASIBLE,
            limit=None if proved else died.limit or Limit.OTHER,
            detail=f"{proof.detail}; {note}" if proved else note,
        ),
        summary={**outcome.summary, "notes": [*outcome.summary.get("notes", ()), note]},
    )

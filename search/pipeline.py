"""A run of any kind of job: parse → encode → search → verify → produce → RunResult.

This is the module to read first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from search import checkpoint
from search.conclude import (
    Course,
    Finished,
    PhaseClock,
    announce_waits,
    at_rest,
    conclude,
    trace_points,
    wake,
)
from search.rest import Woken
from search.stop import StoppingCriterion
from search.trace import relative_gap
from search.types import Domain, OnPhase, SearchOutcome, ShowsIncumbents
from trimtab.results import Incumbent, Limit, Reason, Termination
from trimtab.specs.common import Spec

__all__ = ["Callbacks", "Finished", "OnCheckpoint", "run"]

# Solutions that the check may fall back to: the first one reported and this many of the newest.
_NEWEST = 3
# A bound this close (relative) is a proof of optimality, and kept with its solution.
_PROOF_GAP = 1e-6
_WITHOUT_SOLUTION = (Reason.INFEASIBLE, Reason.UNBOUNDED, Reason.INFEASIBLE_OR_UNBOUNDED)

# Takes a function that makes the bytes of the newest checkpoint.
OnCheckpoint = Callable[[Callable[[], bytes]], None]


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """Functions that a run calls on its way; by default none does anything."""

    on_phase: OnPhase = lambda phase, detail: None  # at the beginning of each phase
    # Just before each incumbent with a solution.
    on_checkpoint: OnCheckpoint = lambda dump: None
    on_incumbent: Callable[[Incumbent], None] = lambda incumbent: None


def run(
    domain: Domain[Any, Any, Any],
    spec: Spec,
    *,
    inputs: Mapping[str, Path],
    workdir: Path,
    stop: StoppingCriterion,
    seed: int,
    start: bytes | None = None,
    woken: Woken | None = None,
    callbacks: Callbacks | None = None,
) -> Finished:
    """Run one job.

    inputs: files by the names of `spec.artifacts()`.
    workdir: folder for the files of the result.
    stop: a criterion that began with the run, so that its time limit covers every phase.
    start: checkpoint of an earlier attempt; the search begins from its solution, and the result is
        never worse.
    woken: what a run finds that was at rest.

    A run that goes to rest ends without verification and files; `Finished.rest` is what it keeps.

    Raises InvalidInput when the input cannot be read or is contradictory. A solution that `verify`
    refuses is never a result, whatever the search claims: see `conclude`.
    """
    callbacks = callbacks or Callbacks()
    course = Course(
        domain=domain,
        spec=spec,
        workdir=workdir,
        seed=seed,
        clock=PhaseClock(callbacks.on_phase),
        budget_s=stop.remaining_s(),
    )
    clock = course.clock
    announce_waits(domain, clock)
    with clock.phase("parse"):
        problem = wake(domain, domain.parse(spec, inputs, workdir), woken)
    with clock.phase("encode"):
        encoding = domain.encode(problem)
    recorder = _Recorder(course, problem, callbacks)
    rng = np.random.default_rng(seed)
    with clock.phase("search"):
        earlier = None if start is None else _restored(course, problem, start)
        if earlier is None or earlier.outcome is None:
            outcome = domain.search(problem, encoding, stop, rng, recorder)
        else:
            recorder.take_over(earlier.outcome)
            solution = earlier.outcome.solution
            outcome = domain.search(
                problem, encoding, stop, rng, recorder, start=solution
            )
        if outcome.rest is not None:
            return at_rest(course, outcome)
        if earlier is not None:
            outcome = _not_worse(outcome, earlier)
    if outcome.solution is not None:
        recorder.checkpoint(lambda: outcome.solution, outcome.bound)
    return conclude(course, problem, outcome, searched_s=clock.elapsed_s)


class _Recorder:
    """The run's `OnIncumbent`: records each incumbent in trace and checkpoint, and passes it on."""

    def __init__(self, course: Course, problem: Any, callbacks: Callbacks) -> None:
        self._course, self._problem, self._callbacks = course, problem, callbacks

    def __call__(
        self, incumbent: Incumbent, solution: Callable[[], Any] | None = None, /
    ) -> None:
        """Record an incumbent, timed from the run's beginning, parsing included."""
        point = incumbent.model_copy(
            update={
                "elapsed_s": self._course.clock.elapsed_s,
                "gap": relative_gap(incumbent.objective, incumbent.bound),
            }
        )
        # Pictures are for those who watch; the trace of the result would hold thousands of them.
        self._course.trace.add(point.model_copy(update={"pictures": ()}))
        if solution is not None:
            earlier = self._course.earlier
            earlier.insert(0, solution)
            if len(earlier) > _NEWEST + 1:
                del earlier[_NEWEST]
            self.checkpoint(solution, point.bound)
        elif self._course.earlier and point.gap is not None and point.gap <= _PROOF_GAP:
            self.checkpoint(self._course.earlier[0], point.bound)
        self._callbacks.on_incumbent(point)

    def take_over(self, earlier: SearchOutcome) -> None:
        """Record the solution of an earlier attempt as the first incumbent."""
        self(
            Incumbent(
                elapsed_s=0.0, objective=earlier.objective, source="an earlier attempt"
            ),
            lambda: earlier.solution,
        )

    def checkpoint(self, solution: Callable[[], Any], bound: float | None) -> None:
        """Offer a checkpoint of `solution`; its bytes are made when the callback asks for them."""
        course = self._course
        trace, timings = course.trace.points, dict(course.clock.timings_s)

        def dump() -> bytes:
            domain, incumbent = course.domain, solution()
            view = b""
            if isinstance(domain, ShowsIncumbents):
                view = domain.show(self._problem, incumbent)
            return checkpoint.pack(
                checkpoint.Checkpoint(
                    kind=course.spec.KIND,
                    solution=domain.keep(self._problem, incumbent),
                    view=view,
                    bound=bound,
                    trace=trace_points(trace),
                    timings_s=timings,
                )
            )

        self._callbacks.on_checkpoint(dump)


@dataclass(frozen=True, kw_only=True)
class _Earlier:
    """The solution of an earlier attempt."""

    outcome: SearchOutcome | None  # None when its checkpoint cannot be used
    note: str  # for the summary of the result


def _restored(course: Course, problem: Any, data: bytes) -> _Earlier:
    """Restore the solution of an earlier attempt. An unusable checkpoint is no reason to fail."""
    try:
        packed = checkpoint.unpack(data, kind=course.spec.KIND)
        outcome = course.domain.restore(problem, packed.solution)
    except Exception as error:  # a damaged checkpoint may make a domain raise anything
        why = f"{type(error).__name__}: {error}"[:300]
        return _Earlier(
            outcome=None,
            note=f"the best solution of an earlier attempt could not be used ({why}); "
            "the search began anew",
        )
    return _Earlier(
        outcome=outcome,
        note=f"the best solution of an earlier attempt, with objective {outcome.objective}",
    )


def _not_worse(outcome: SearchOutcome, attempt: _Earlier) -> SearchOutcome:
    """Replace a missing or worse solution by that of an earlier attempt, and note the start."""
    outcome = replace(outcome, summary={**outcome.summary, "started_from": attempt.note})
    earlier = attempt.outcome
    if earlier is None or earlier.solution is None or earlier.objective is None:
        return outcome
    sign = -1.0 if earlier.sense == "maximize" else 1.0
    reached = outcome.objective
    if outcome.solution is not None and (
        reached is None or sign * reached <= sign * earlier.objective
    ):
        return outcome
    return replace(
        outcome,
        termination=_corrected(outcome.termination),
        solution=earlier.solution,
        objective=earlier.objective,
        sense=earlier.sense,
        summary={**earlier.summary, **outcome.summary},
    )


def _corrected(claimed: Termination) -> Termination:
    """Return the termination of a search that ended with less than an earlier attempt had."""
    if claimed.reason is Reason.COMPLETED:
        return claimed
    if claimed.reason in _WITHOUT_SOLUTION:
        return Termination(
            reason=Reason.FEASIBLE,
            limit=Limit.OTHER,
            detail=f"the search claimed {claimed.reason.value}, "
            "but an earlier attempt has a solution",
        )
    return Termination(
        reason=Reason.FEASIBLE,
        limit=claimed.limit or Limit.OTHER,
        detail="an earlier attempt's solution is the best",
    )

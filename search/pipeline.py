"""The one function to read first: what a run is, whatever its kind.

parse → encode → search → verify → produce → RunResult
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from search import checkpoint
from search.conclude import Course, Finished, PhaseClock, conclude, trace_points
from search.stop import StoppingCriterion
from search.trace import relative_gap
from search.types import Domain, OnPhase, SearchOutcome
from trimtab.results import Incumbent, Limit, Reason, Termination
from trimtab.specs.common import Spec

__all__ = ["Finished", "OnCheckpoint", "run"]

_EARLIER = (
    3  # newest reported solutions, beside the first one, that the check may fall back to
)
_CLAIMS_NONE = (Reason.INFEASIBLE, Reason.UNBOUNDED, Reason.INFEASIBLE_OR_UNBOUNDED)

# Takes a function that makes the newest checkpoint's bytes; called just before the incumbent is
# reported.
OnCheckpoint = Callable[[Callable[[], bytes]], None]


def run(
    domain: Domain[Any, Any, Any],
    spec: Spec,
    *,
    inputs: Mapping[str, Path],
    workdir: Path,
    stop: StoppingCriterion,
    seed: int,
    on_incumbent: Callable[[Incumbent], None] = lambda incumbent: None,
    on_phase: OnPhase = lambda phase, detail: None,
    on_checkpoint: OnCheckpoint = lambda dump: None,
    packages: tuple[str, ...] = (),
    start: bytes | None = None,
) -> Finished:
    """Run one job. `stop` began with the run, so that its time limit covers every phase.

    `start` is the checkpoint of an earlier attempt: the search begins from it, and the result is
    never worse.

    Raises InvalidInput when the input cannot be read or makes no sense. Whatever the search claims,
    a solution that `verify` refuses is never a result: see `conclude`.
    """
    course = Course(
        domain=domain,
        spec=spec,
        workdir=workdir,
        seed=seed,
        clock=PhaseClock(on_phase),
        budget_s=stop.remaining_s(),
        packages=packages,
    )
    clock = course.clock
    with clock.phase("parse"):
        problem = domain.parse(spec, inputs, workdir)
    recorder = _Recorder(course, problem, on_incumbent, on_checkpoint)
    with clock.phase("encode"):
        encoding = domain.encode(problem)
    with clock.phase("search"):
        earlier, note = (
            _restored(course, problem, start) if start is not None else (None, "")
        )
        rng = np.random.default_rng(seed)
        if earlier is None:
            outcome = domain.search(problem, encoding, stop, rng, recorder)
        else:
            source = "an earlier attempt"
            recorder(
                Incumbent(elapsed_s=0.0, objective=earlier.objective, source=source),
                lambda: earlier.solution,
            )
            outcome = domain.search(
                problem, encoding, stop, rng, recorder, start=earlier.solution
            )
            outcome = _not_worse(outcome, earlier)
        if note:
            outcome = replace(outcome, summary={**outcome.summary, "started_from": note})
    if outcome.solution is not None:
        recorder.checkpoint(lambda: outcome.solution, outcome.bound)
    return conclude(course, problem, outcome, searched_s=clock.elapsed_s)


class _Recorder:
    """Takes what a search reports: into the trace, into a checkpoint, and on to whoever listens."""

    def __init__(
        self,
        course: Course,
        problem: Any,
        on_incumbent: Callable[[Incumbent], None],
        on_checkpoint: OnCheckpoint,
    ) -> None:
        self._course, self._problem = course, problem
        self._on_incumbent, self._on_checkpoint = on_incumbent, on_checkpoint

    def __call__(
        self, incumbent: Incumbent, solution: Callable[[], Any] | None = None, /
    ) -> None:
        # One clock for the whole run: a domain's points count from the run's beginning, parse
        # included.
        point = incumbent.model_copy(
            update={
                "elapsed_s": self._course.clock.elapsed_s,
                "gap": relative_gap(incumbent.objective, incumbent.bound),
            }
        )
        self._course.trace.add(point)
        if solution is not None:
            earlier = self._course.earlier
            earlier.insert(0, solution)
            if len(earlier) > _EARLIER + 1:
                del earlier[_EARLIER]
            self.checkpoint(solution, point.bound)
        self._on_incumbent(point)

    def checkpoint(self, solution: Callable[[], Any], bound: float | None) -> None:
        """Offer a checkpoint of `solution`; its bytes are made when somebody wants them."""
        course = self._course
        trace, timings = course.trace.points, dict(course.clock.timings_s)

        def dump() -> bytes:
            return checkpoint.pack(
                checkpoint.Checkpoint(
                    kind=course.spec.KIND,
                    solution=course.domain.keep(self._problem, solution()),
                    bound=bound,
                    trace=trace_points(trace),
                    timings_s=timings,
                )
            )

        self._on_checkpoint(dump)


def _restored(
    course: Course, problem: Any, data: bytes
) -> tuple[SearchOutcome | None, str]:
    """What an earlier attempt had reached, and a sentence about it. A start that cannot be used is no reason to fail."""
    try:
        packed = checkpoint.unpack(data, kind=course.spec.KIND)
        outcome = course.domain.restore(problem, packed.solution)
    except Exception as error:  # whatever a damaged checkpoint does to a domain
        why = f"{type(error).__name__}: {error}"[:300]
        return (
            None,
            f"the best solution of an earlier attempt could not be used ({why}); the search began anew",
        )
    return (
        outcome,
        f"the best solution of an earlier attempt, with objective {outcome.objective}",
    )


def _not_worse(outcome: SearchOutcome, earlier: SearchOutcome) -> SearchOutcome:
    """The outcome, with the earlier attempt's solution in place of none or of a worse one."""
    if earlier.solution is None or earlier.objective is None:
        return outcome
    sign = -1.0 if earlier.sense == "maximize" else 1.0
    reached = outcome.objective
    if outcome.solution is not None and (
        reached is None or sign * reached <= sign * earlier.objective
    ):
        return outcome
    termination = outcome.termination
    if termination.reason in _CLAIMS_NONE:
        detail = f"the search claimed {termination.reason.value} against the solution of an earlier attempt"
        termination = Termination(reason=Reason.FEASIBLE, limit=Limit.OTHER, detail=detail)
    elif termination.reason is not Reason.COMPLETED:
        limit = termination.limit or Limit.OTHER
        termination = Termination(
            reason=Reason.FEASIBLE,
            limit=limit,
            detail="an earlier attempt's solution is the best",
        )
    return replace(
        outcome,
        termination=termination,
        solution=earlier.solution,
        objective=earlier.objective,
        sense=earlier.sense,
        summary={**earlier.summary, **outcome.summary},
    )

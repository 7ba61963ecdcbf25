"""The end of every run: verify → produce → RunResult.

Runs that end by themselves and runs that are finished after their process died share it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from search.rest import Rest, Rests, Woken, require_sound
from search.trace import Trace, primal_integral, relative_gap
from search.types import (
    AnnouncesWaits,
    Domain,
    Extra,
    InvalidInput,
    OnPhase,
    Produced,
    SearchOutcome,
)
from trimtab.results import (
    Incumbent,
    Limit,
    Reason,
    RunResult,
    Termination,
    Verification,
    VerificationStatus,
)
from trimtab.specs.common import Spec

NOT_CHECKED = Verification(
    status=VerificationStatus.NOT_CHECKED, detail="there is no solution to check"
)
## Writing of a file that decorates the result may begin until this long after `produce` began.
_EXTRAS_S, _EXTRAS_SHARE = 5.0, 0.05
_MAX_NOTE = 300

Solution = Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The result of a run, and its files."""

    result: RunResult
    produced: tuple[Produced, ...]
    # Set: the run went to rest. The result has no solution, and only says what was done.
    rest: Rest | None = None


@dataclass(kw_only=True)
class Course:
    """A run in progress: its job, and what it has recorded so far."""

    domain: Domain[Any, Any, Any]
    spec: Spec
    workdir: Path
    seed: int
    clock: PhaseClock
    budget_s: float
    decorate: bool = True  # False: only the files that are the result
    trace: Trace = field(default_factory=Trace)
    # Reported solutions to fall back to, newest first.
    earlier: list[Solution] = field(default_factory=list)


def conclude(
    course: Course, problem: Any, outcome: SearchOutcome, *, searched_s: float
) -> Finished:
    """Verify the outcome's solution, write its files and compose the result.

    A solution that `verify` refuses is replaced by the newest reported one that it accepts. If
    there is none, the run ends as VERIFICATION_FAILED and shows no objective.
    """
    clock = course.clock
    with clock.phase("verify"):
        outcome, verification = _verified(course, problem, outcome)
    refused = verification.status is VerificationStatus.INVALID
    produced: list[Produced] = []
    notes: list[str] = []
    if outcome.solution is not None and not refused:
        with clock.phase("produce"):
            produced = _produced(course, problem, outcome.solution, notes)

    summary = dict(outcome.summary)
    if notes:
        summary["notes"] = [*summary.get("notes", ()), *notes]
    outcome = replace(outcome, summary=summary)
    if refused:
        termination = _refusal(outcome, verification)
        outcome = replace(outcome, termination=termination, objective=None)
    result = _result(course, outcome, verification, searched_s=searched_s)
    alts = {file.name: file.alt for file in produced if file.alt}
    return Finished(
        result=result.model_copy(update={"alts": alts}), produced=tuple(produced)
    )


def at_rest(course: Course, outcome: SearchOutcome) -> Finished:
    """Return the end of a run that goes to rest: nothing is verified or produced."""
    assert outcome.rest is not None
    require_sound(outcome.rest)
    outcome = replace(outcome, solution=None, objective=None, bound=None)
    elapsed_s = course.clock.elapsed_s
    result = _result(course, outcome, NOT_CHECKED, searched_s=elapsed_s)
    return Finished(result=result, produced=(), rest=outcome.rest)


def _result(
    course: Course,
    outcome: SearchOutcome,
    verification: Verification,
    *,
    searched_s: float,
) -> RunResult:
    objective = outcome.objective
    return RunResult(
        kind=course.spec.KIND,
        termination=outcome.termination,
        sense=outcome.sense,
        objective=objective,
        bound=outcome.bound,
        gap=relative_gap(objective, outcome.bound),
        primal_integral=primal_integral(
            course.trace.points, best=objective, until_s=searched_s
        ),
        trace=course.trace.points,
        verification=verification,
        summary=dict(outcome.summary),
        timings_s=course.clock.timings_s,
        seed=course.seed,
        versions=_versions(getattr(course.domain, "packages", ())),
        weights=dict(outcome.weights),
    )


def wake(domain: Domain[Any, Any, Any], problem: Any, woken: Woken | None) -> Any:
    """Return the parsed problem of a run that was at rest, with what has happened since."""
    if woken is None:
        return problem
    if not isinstance(domain, Rests):
        raise InvalidInput(
            f"memo: expected none, because {type(domain).__name__} never rests, got one"
        )
    return domain.wake(problem, woken)


def _verified(
    course: Course, problem: Any, outcome: SearchOutcome
) -> tuple[SearchOutcome, Verification]:
    if outcome.solution is None:
        return outcome, NOT_CHECKED
    verification = course.domain.verify(problem, outcome.solution)
    if verification.status is not VerificationStatus.INVALID:
        return outcome, verification
    for solution in course.earlier:
        # A failure on an older solution must not hide why the newest one was refused.
        with contextlib.suppress(Exception):
            older = course.domain.restore(
                problem, course.domain.keep(problem, solution())
            )
            second = course.domain.verify(problem, older.solution)
            if second.status is VerificationStatus.VALID:
                return _replaced(outcome, older, verification), second
    return outcome, verification


def _replaced(
    refused: SearchOutcome, older: SearchOutcome, verification: Verification
) -> SearchOutcome:
    """Put an older solution in place of the refused one and withdraw all proofs."""
    why = (
        f"the independent check refused the search's last answer ({verification.detail})"
    )
    note = f"{why}; the result is the best earlier one that the check accepts"
    return replace(
        refused,
        termination=Termination(reason=Reason.FEASIBLE, limit=Limit.OTHER, detail=note),
        solution=older.solution,
        objective=older.objective,
        bound=None,
        summary={**older.summary, "notes": [*older.summary.get("notes", ()), note]},
    )


def _produced(
    course: Course, problem: Any, solution: Any, notes: list[str]
) -> list[Produced]:
    began = time.monotonic()
    until = began + max(_EXTRAS_S, _EXTRAS_SHARE * course.budget_s)
    files: list[Produced] = []
    extras: list[Extra] = []
    for offered in course.domain.produce(problem, solution, course.workdir):
        if isinstance(offered, Extra):
            extras.append(offered)
        else:
            files.append(offered)
    for extra in extras:
        path = course.workdir / extra.name
        if not course.decorate:
            fault: str | None = (
                "the run was finished after its process had died in this phase"
            )
        elif time.monotonic() >= until:
            fault = "the run's time was over"
        else:
            fault = _write(extra, path)
        if fault is None:
            files.append(
                Produced(
                    name=extra.name,
                    path=path,
                    media_type=extra.media_type,
                    alt=extra.alt,
                )
            )
        else:
            notes.append(f"{extra.name} was left out: {fault}"[:_MAX_NOTE])
    return files


def _write(extra: Extra, path: Path) -> str | None:
    """Write a file that decorates the result. Return the fault when that fails, None otherwise."""
    try:
        extra.write(path)
    except Exception as error:  # no fault of a decoration may cost the result
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return f"{type(error).__name__}: {error}"
    return None if path.is_file() else "nothing was written"


def _refusal(outcome: SearchOutcome, verification: Verification) -> Termination:
    claimed = outcome.termination
    value = "" if outcome.objective is None else f" with objective {outcome.objective}"
    return Termination(
        reason=Reason.VERIFICATION_FAILED,
        limit=claimed.limit,
        detail=f"the search claimed {claimed.reason.value}{value}, but the independent check "
        f"refused the solution: {verification.detail}",
    )


def _versions(packages: Sequence[str]) -> dict[str, str]:
    versions = {}
    for name in ("trimtab", "numpy", *packages):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


class PhaseClock:
    """Measures the seconds since the run began and those of each phase."""

    def __init__(
        self, on_phase: OnPhase, *, already: Mapping[str, float] | None = None
    ) -> None:
        self._on_phase = on_phase
        self._began = time.monotonic()
        self._phase = ""
        self.timings_s: dict[str, float] = dict(already or {})

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Announce a phase and measure its duration."""
        self._phase = name
        self._on_phase(name, "")
        began = time.monotonic()
        try:
            yield
        finally:
            self.timings_s[name] = time.monotonic() - began

    def detail(self, text: str) -> None:
        """Announce what the current phase is doing."""
        self._on_phase(self._phase, text)


def announce_waits(domain: object, clock: PhaseClock) -> None:
    """Let a domain report what it waits for as a detail of the current phase."""
    if isinstance(domain, AnnouncesWaits):
        domain.announce_to(clock.detail)


def trace_points(
    points: Sequence[Incumbent],
) -> list[tuple[float, float | None, float | None, str]]:
    """Return the trace as plain rows, for a checkpoint."""
    return [(p.elapsed_s, p.objective, p.bound, p.source) for p in points]

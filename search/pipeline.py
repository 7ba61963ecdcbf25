"""The one function to read first: what a run is, whatever its kind.

parse → encode → search → verify → produce → RunResult
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from search.stop import StoppingCriterion
from search.trace import Trace, primal_integral, relative_gap
from search.types import Domain, OnIncumbent, OnPhase, Produced, SearchOutcome
from trimtab.results import Incumbent, Reason, RunResult, Termination, Verification, VerificationStatus
from trimtab.specs.common import Spec

NOT_CHECKED = Verification(status=VerificationStatus.NOT_CHECKED, detail="there is no solution to check")


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run's result and the files it leaves."""

    result: RunResult
    produced: tuple[Produced, ...]


def run(
    domain: Domain[Any, Any, Any],
    spec: Spec,
    *,
    inputs: Mapping[str, Path],
    workdir: Path,
    stop: StoppingCriterion,
    seed: int,
    on_incumbent: OnIncumbent = lambda incumbent: None,
    on_phase: OnPhase = lambda phase, detail: None,
    packages: tuple[str, ...] = (),
) -> Finished:
    """Run one job. `stop` began with the run, so that its time limit covers every phase.

    Raises InvalidInput when the input cannot be read or makes no sense. Whatever the search claims, a solution that
    `verify` refuses ends the run as VERIFICATION_FAILED.
    """
    rng = np.random.default_rng(seed)
    clock = _PhaseClock(on_phase)
    trace = Trace()

    def record(incumbent: Incumbent) -> None:
        # One clock for the whole run: a domain's points count from the run's beginning, parse included.
        point = incumbent.model_copy(
            update={
                "elapsed_s": clock.elapsed_s,
                "gap": relative_gap(incumbent.objective, incumbent.bound),
            }
        )
        trace.add(point)
        on_incumbent(point)

    with clock.phase("parse"):
        problem = domain.parse(spec, inputs, workdir)
    with clock.phase("encode"):
        encoding = domain.encode(problem)
    with clock.phase("search"):
        outcome = domain.search(problem, encoding, stop, rng, record)
    searched_s = clock.elapsed_s
    with clock.phase("verify"):
        verification = NOT_CHECKED if outcome.solution is None else domain.verify(problem, outcome.solution)
    refused = verification.status is VerificationStatus.INVALID
    produced: list[Produced] = []
    if outcome.solution is not None and not refused:
        with clock.phase("produce"):
            produced = domain.produce(problem, outcome.solution, workdir)

    objective = None if refused else outcome.objective
    return Finished(
        result=RunResult(
            kind=spec.KIND,
            termination=_refusal(outcome, verification) if refused else outcome.termination,
            sense=outcome.sense,
            objective=objective,
            bound=outcome.bound,
            gap=relative_gap(objective, outcome.bound),
            primal_integral=primal_integral(trace.points, best=objective, until_s=searched_s),
            trace=trace.points,
            verification=verification,
            summary=dict(outcome.summary),
            timings_s=clock.timings_s,
            seed=seed,
            versions=_versions(packages),
            weights=dict(outcome.weights),
        ),
        produced=tuple(produced),
    )


def _refusal(outcome: SearchOutcome, verification: Verification) -> Termination:
    claimed = outcome.termination
    return Termination(
        reason=Reason.VERIFICATION_FAILED,
        limit=claimed.limit,
        detail=f"the search claimed {claimed.reason.value} with objective {outcome.objective}, but the independent "
        f"check refused the solution: {verification.detail}",
    )


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for name in ("trimtab", "numpy", *packages):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


class _PhaseClock:
    """Seconds since the run began, and by phase."""

    def __init__(self, on_phase: OnPhase) -> None:
        self._on_phase = on_phase
        self._began = time.monotonic()
        self.timings_s: dict[str, float] = {}

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._on_phase(name, "")
        began = time.monotonic()
        try:
            yield
        finally:
            self.timings_s[name] = time.monotonic() - began

"""Kind `probe`: a run with prescribed behaviour, to measure and test the service itself.

See trimtab.specs.probe.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from search.stop import StoppingCriterion
from search.trace import relative_gap
from search.types import InvalidInput, OnIncumbent, Produced, SearchOutcome
from trimtab.results import (
    Incumbent,
    Reason,
    Termination,
    Verification,
    VerificationStatus,
)
from trimtab.specs.probe import ProbeSpec


class ProbeDomain:
    """Counts its objective down from `steps` to 0, with one incumbent per step."""

    def parse(
        self, spec: ProbeSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> ProbeSpec:
        """Return the spec: it is the problem."""
        if spec.outcome == "invalid":
            raise InvalidInput(
                "outcome: expected one that can succeed, got 'invalid', which asks for this error"
            )
        return spec

    def encode(self, problem: ProbeSpec) -> None:
        """Return None: there is nothing to encode."""

    def search(
        self,
        problem: ProbeSpec,
        encoding: None,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: float | None = None,
    ) -> SearchOutcome:
        """Step down, from `start` if there is one, then show the prescribed behaviour."""
        best: Incumbent | None = None
        first = problem.steps if start is None else int(start)
        for left in range(first - 1, -1, -1):
            _wait(problem.step_seconds, stop)
            # The wall-clock time of emission travels in `source`: benchmarks measure the latency to
            # the client by it.
            best = Incumbent(
                elapsed_s=0.0,
                objective=float(left),
                bound=0.0,
                gap=relative_gap(float(left), 0.0),
                source=f"probe@{time.time():.6f}",
            )
            on_incumbent(best, functools.partial(float, left))
            if stop(best):
                break
        _behave(problem.outcome)
        if stop.limit is not None:
            reason = Reason.FEASIBLE if best is not None else Reason.NO_SOLUTION_FOUND
            termination = Termination(
                reason=reason, limit=stop.limit, detail="ended by a limit"
            )
        else:
            termination = Termination(
                reason=Reason.COMPLETED, detail=f"all {problem.steps} steps done"
            )
        return SearchOutcome(
            termination=termination,
            solution=None if best is None else best.objective,
            objective=None if best is None else best.objective,
            bound=None if best is None else 0.0,
        )

    def verify(self, problem: ProbeSpec, solution: Any) -> Verification:
        """Check that the objective is a number of steps left."""
        value = float(solution)
        right = value.is_integer() and 0 <= value < max(1, problem.steps)
        return Verification(
            status=VerificationStatus.VALID if right else VerificationStatus.INVALID,
            method="a whole number below the number of steps",
            claimed_objective=value,
            objective=value,
            max_violation=0.0 if right else None,
        )

    def produce(self, problem: ProbeSpec, solution: Any, workdir: Path) -> list[Produced]:
        """Write one small file."""
        path = workdir / "probe.txt"
        path.write_text(f"{solution:g}\n")
        return [Produced(name="probe.txt", path=path, media_type="text/plain")]

    def keep(self, problem: ProbeSpec, solution: Any) -> bytes:
        """Return the number as JSON."""
        return json.dumps(float(solution)).encode()

    def restore(self, problem: ProbeSpec, data: bytes) -> SearchOutcome:
        """Read the number again."""
        number = float(json.loads(data))
        termination = Termination(reason=Reason.FEASIBLE, detail="restored")
        return SearchOutcome(
            termination=termination, solution=number, objective=number, bound=0.0
        )


def _wait(seconds: float, stop: StoppingCriterion) -> None:
    """Sleep for a step, but not beyond the end of the run."""
    until = time.monotonic() + seconds
    while (left := min(until - time.monotonic(), stop.remaining_s())) > 0:
        time.sleep(min(left, 0.02))


def _behave(outcome: str) -> None:
    match outcome:
        case "raise":
            raise RuntimeError("probe: raised because its outcome is 'raise'")
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
            signal.pause()
        case "hang":
            while True:
                time.sleep(60)
        case "allocate":
            hoard = []
            while True:
                hoard.append(bytearray(64 * 2**20))
        case _:
            return


def build() -> ProbeDomain:
    """Return the domain, for KINDS."""
    return ProbeDomain()


__all__ = ["ProbeDomain", "build"]

"""Kind `probe`: a run with known behaviour, to measure and to shake the service itself. See trimtab.specs.probe."""

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
from trimtab.results import Incumbent, Reason, Termination, Verification, VerificationStatus
from trimtab.specs.probe import ProbeSpec


class ProbeDomain:
    """Counts its objective down from `steps` to 0, one incumbent each step."""

    def parse(
        self, spec: ProbeSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> ProbeSpec:
        """The spec is the problem."""
        if spec.outcome == "invalid":
            raise InvalidInput(
                "probe: outcome 'invalid' came, which is what it asks for; send another outcome to succeed"
            )
        return spec

    def encode(self, problem: ProbeSpec) -> None:
        """Nothing to encode."""

    def search(
        self,
        problem: ProbeSpec,
        encoding: None,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: float | None = None,
    ) -> SearchOutcome:
        """Step down, from `start` where there is one, then behave as told."""
        best: Incumbent | None = None
        first = problem.steps if start is None else int(start)
        for left in range(first - 1, -1, -1):
            _wait(problem.step_seconds, stop)
            # The wall-clock time of emission travels in `source`, so that a bench can measure the way to the client.
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
        """The objective must be one the steps can have left."""
        right = float(solution).is_integer() and 0 <= float(solution) < max(
            1, problem.steps
        )
        return Verification(
            status=VerificationStatus.VALID if right else VerificationStatus.INVALID,
            method="a whole number below the number of steps",
            claimed_objective=float(solution),
            objective=float(solution),
            max_violation=0.0 if right else None,
        )

    def produce(self, problem: ProbeSpec, solution: Any, workdir: Path) -> list[Produced]:
        """One small file."""
        path = workdir / "probe.txt"
        path.write_text(f"{solution:g}\n")
        return [Produced(name="probe.txt", path=path, media_type="text/plain")]

    def keep(self, problem: ProbeSpec, solution: Any) -> bytes:
        """The number, as JSON."""
        return json.dumps(float(solution)).encode()

    def restore(self, problem: ProbeSpec, data: bytes) -> SearchOutcome:
        """The number again."""
        number = float(json.loads(data))
        termination = Termination(reason=Reason.FEASIBLE, detail="restored")
        return SearchOutcome(
            termination=termination, solution=number, objective=number, bound=0.0
        )


def _wait(seconds: float, stop: StoppingCriterion) -> None:
    """Sleep, but no longer than the run may: `stop` is heard in the middle of a step."""
    until = time.monotonic() + seconds
    while (left := min(until - time.monotonic(), stop.remaining_s())) > 0:
        time.sleep(min(left, 0.02))


def _behave(outcome: str) -> None:
    match outcome:
        case "raise":
            raise RuntimeError("probe: outcome 'raise' came, and here it is")
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
    """The domain, for KINDS."""
    return ProbeDomain()


__all__ = ["ProbeDomain", "build"]

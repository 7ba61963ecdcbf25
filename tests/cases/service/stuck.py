"""A kind whose runs stay in the phase their spec names, with a native process below them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from search import isolation
from search.stop import StoppingCriterion
from search.types import OnIncumbent, Produced, SearchOutcome
from trimtab.results import (
    Incumbent,
    Reason,
    Termination,
    Verification,
    VerificationStatus,
)
from trimtab.specs.common import Spec

STUCK_S = 120.0


class StuckSpec(Spec):
    KIND: ClassVar[str] = "stuck"
    SUMMARY: ClassVar[str] = "Stays in one phase."

    phase: str


class StuckDomain:
    def __init__(self) -> None:
        self._phase = ""

    def parse(self, spec: StuckSpec, inputs: Mapping[str, Path], workdir: Path) -> None:
        self._phase = spec.phase
        self._stay("parse")

    def encode(self, problem: Any) -> None:
        self._stay("encode")

    def search(
        self,
        problem: Any,
        encoding: None,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
    ) -> SearchOutcome:
        on_incumbent(Incumbent(elapsed_s=0.0, objective=1.0))
        self._stay("search")
        return SearchOutcome(
            termination=Termination(reason=Reason.COMPLETED),
            solution=1.0,
            objective=1.0,
            bound=None,
        )

    def verify(self, problem: Any, solution: Any) -> Verification:
        self._stay("verify")
        return Verification(status=VerificationStatus.VALID)

    def produce(self, problem: Any, solution: Any, workdir: Path) -> list[Produced]:
        self._stay("produce")
        return []

    def _stay(self, phase: str) -> None:
        if phase == self._phase:
            isolation.call("burning", _burn, timeout_s=STUCK_S)


def _burn() -> isolation.Message:
    until = time.monotonic() + STUCK_S
    while time.monotonic() < until:
        pass
    return {}


def build() -> StuckDomain:
    return StuckDomain()

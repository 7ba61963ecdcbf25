"""Problems and stand-ins for tests of the search stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.ilp.problem import IlpProblem
from search.domains.ilp.search.messages import RunMessage
from search.domains.ilp.tagged import pack
from search.isolation import NativeCrash
from search.types import InvalidInput
from solvers.types import MilpModel
from trimtab.results import Verification, VerificationStatus
from trimtab.specs.ilp import Engine, IlpSpec, LnsOptions


class StandInChecker:
    """Check process that accepts points that hold on `model`."""

    def __init__(self, model: MilpModel, refused: str = "") -> None:
        self._model, self._refused = model, refused
        self.cpu_s, self.reading = 0.0, False

    def pause(self) -> None:
        """Nothing to pause."""

    def resume(self) -> None:
        """Nothing to resume."""

    def close(self) -> None:
        """Nothing to close."""

    def refusal(self) -> InvalidInput | None:
        return InvalidInput(self._refused) if self._refused else None

    def check(self, values: dict[str, float], *, claimed: float | None) -> Verification:
        model = self._model
        x = np.array([values.get(model.column_name(j), 0.0) for j in range(model.n)])
        activity = model.matrix @ x
        holds = (activity >= model.row_lower).all() and (
            activity <= model.row_upper
        ).all()
        status = VerificationStatus.VALID if holds else VerificationStatus.INVALID
        return Verification(status=status, detail="" if holds else "a row is violated")


class StandInProcess:
    """Process with messages to read; it is alive, ended or died."""

    def __init__(
        self, *messages: RunMessage, alive: bool = True, died: bool = False
    ) -> None:
        self._messages = [pack(message) for message in messages]
        self.alive, self._died = alive, died
        self.cpu_s, self.closed = 0.0, False
        self.what = "stand-in"

    def messages(self) -> Iterator[dict[str, Any]]:
        yield from self._messages
        self._messages = []

    def raise_for_end(self) -> None:
        if self._died:
            raise NativeCrash(self.what, 9)

    def close(self) -> None:
        self.closed = True

    def pause(self) -> None:
        """Nothing to pause."""

    def resume(self) -> None:
        """Nothing to resume."""


def problem_of(
    model: MilpModel,
    workdir: Path,
    *,
    refused: str = "",
    engine: Engine = Engine.HIGHS,
    **options: Any,
) -> IlpProblem:
    checker: Any = StandInChecker(model, refused)
    spec = IlpSpec(model_text="x", engine=engine, lns=LnsOptions(**options))
    return IlpProblem(spec=spec, model=model, workdir=workdir, checker=checker)

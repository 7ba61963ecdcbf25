"""A refused last answer is replaced by an earlier one that the check accepts."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from search import pipeline
from search.stop import from_budget
from search.types import OnIncumbent, Produced, SearchOutcome
from trimtab.results import (
    Incumbent,
    Limit,
    Reason,
    Termination,
    Verification,
    VerificationStatus,
)
from trimtab.specs.probe import ProbeSpec


class Doubtful:
    """Reports the values of `reported` and claims the last; the check accepts those in `right`."""

    def __init__(self, reported: Sequence[float], right: set[float]) -> None:
        self.reported, self.right = reported, right
        self.checked: list[float] = []

    def parse(
        self, spec: ProbeSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> ProbeSpec:
        return spec

    def encode(self, problem: ProbeSpec) -> None:
        return None

    def search(
        self,
        problem: Any,
        encoding: None,
        stop: Any,
        rng: Any,
        on_incumbent: OnIncumbent,
        start: Any = None,
    ) -> SearchOutcome:
        for value in self.reported:
            on_incumbent(
                Incumbent(elapsed_s=0.0, objective=value), lambda value=value: value
            )  # type: ignore[misc]
        claimed = self.reported[-1]
        termination = Termination(reason=Reason.OPTIMAL, detail="proved")
        return SearchOutcome(
            termination=termination, solution=claimed, objective=claimed, bound=claimed
        )

    def verify(self, problem: Any, solution: float) -> Verification:
        self.checked.append(solution)
        if solution < 0:
            raise RuntimeError("the check itself breaks")
        right = solution in self.right
        status = VerificationStatus.VALID if right else VerificationStatus.INVALID
        return Verification(
            status=status,
            objective=solution,
            detail="" if right else "row c1 is violated",
        )

    def produce(self, problem: Any, solution: float, workdir: Path) -> list[Produced]:
        path = workdir / "x.txt"
        path.write_text(str(solution))
        return [Produced(name="x.txt", path=path)]

    def keep(self, problem: Any, solution: float) -> bytes:
        return json.dumps(solution).encode()

    def restore(self, problem: Any, data: bytes) -> SearchOutcome:
        value = float(json.loads(data))
        termination = Termination(reason=Reason.FEASIBLE)
        return SearchOutcome(
            termination=termination, solution=value, objective=value, bound=None
        )


def run(domain: Doubtful, tmp_path: Path) -> pipeline.Finished:
    return pipeline.run(
        domain,
        ProbeSpec(),
        inputs={},
        workdir=tmp_path,
        stop=from_budget({"seconds": 30.0}, threading.Event()),
        seed=0,
    )


def test_an_accepted_answer_is_checked_once(tmp_path: Path) -> None:
    domain = Doubtful([3, 2, 1], {1})
    assert run(domain, tmp_path).result.termination.reason is Reason.OPTIMAL
    assert domain.checked == [1]


@pytest.mark.parametrize(
    ("reported", "right", "result"),
    [
        ([9, 3, 2, 1], {9, 3, 2}, 2),
        ([9, 3, 2, 1], {9, 3}, 3),
        # The first one: a search's start is the safest.
        ([9, 8, 7, 6, 5, 4, 3, 2, 1], {9}, 9),
        (
            [9, -2, 1],
            {9},
            9,
        ),  # a check that breaks on one of them does not hide the others
    ],
)
def test_a_refused_answer_is_replaced(
    tmp_path: Path, reported: list[float], right: set[float], result: float
) -> None:
    finished = run(Doubtful(reported, right), tmp_path)
    outcome = finished.result
    assert outcome.objective == result
    assert outcome.verification.status is VerificationStatus.VALID
    assert (outcome.termination.reason, outcome.termination.limit) == (
        Reason.FEASIBLE,
        Limit.OTHER,
    )
    assert "row c1 is violated" in outcome.termination.detail
    assert (outcome.bound, outcome.gap) == (None, None), (
        "what claimed a wrong answer has proved nothing"
    )
    assert outcome.termination.detail in outcome.summary["notes"]  # type: ignore[operator]
    assert finished.produced[0].path.read_text() == str(float(result))


def test_without_any_accepted_one_the_refusal_stands(tmp_path: Path) -> None:
    finished = run(Doubtful([3, 2, 1], set()), tmp_path)
    assert finished.result.termination.reason is Reason.VERIFICATION_FAILED
    assert finished.result.objective is None
    assert finished.produced == ()

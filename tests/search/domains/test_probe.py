"""The probe: its prescribed behaviours."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from search.domains.probe import ProbeDomain, build
from search.stop import EvaluationLimit, StoppingCriterion, from_budget
from tests.waiting import sooner_than
from trimtab.results import Incumbent, Limit, Reason, VerificationStatus
from trimtab.specs.probe import ProbeSpec


def search(spec: ProbeSpec, stop: StoppingCriterion | None = None, **more: Any) -> Any:
    points: list[Incumbent] = []

    def report(incumbent: Incumbent, solution: Any = None, /) -> None:
        points.append(incumbent)

    stop = stop or from_budget({"seconds": 30.0}, threading.Event())
    rng = np.random.default_rng(0)
    return build().search(spec, None, stop, rng, report, **more), points


def test_it_counts_down_from_its_steps_or_from_a_start() -> None:
    outcome, points = search(ProbeSpec(steps=3, step_seconds=0.0))
    assert [point.objective for point in points] == [2.0, 1.0, 0.0]
    assert outcome.termination.reason is Reason.COMPLETED
    _, points = search(ProbeSpec(steps=3, step_seconds=0.0), start=1.0)
    assert [point.objective for point in points] == [0.0]


def test_a_long_step_ends_with_the_run() -> None:
    stop = from_budget({"seconds": 0.1}, threading.Event())
    with sooner_than(30):
        outcome, _ = search(ProbeSpec(steps=2, step_seconds=30.0), stop)
    assert outcome.termination.limit is Limit.TIME


def test_another_limit_is_named() -> None:
    stop = EvaluationLimit(1)
    stop.spend(1)
    outcome, points = search(ProbeSpec(steps=9, step_seconds=0.0), stop)
    assert len(points) == 1
    assert (outcome.termination.reason, outcome.termination.limit) == (
        Reason.FEASIBLE,
        Limit.EVALUATIONS,
    )


@pytest.mark.parametrize(
    ("solution", "status"),
    [
        (0.0, "valid"),
        (2.0, "valid"),
        (3.0, "invalid"),
        (0.5, "invalid"),
        (-1.0, "invalid"),
    ],
)
def test_only_numbers_of_steps_left_are_valid(solution: float, status: str) -> None:
    verification = ProbeDomain().verify(ProbeSpec(steps=3), solution)
    assert verification.status is VerificationStatus(status)


def test_it_raises_on_request() -> None:
    with pytest.raises(RuntimeError, match="its outcome is 'raise'"):
        search(ProbeSpec(steps=1, step_seconds=0.0, outcome="raise"))

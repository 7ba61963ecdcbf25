"""Stopping criteria and their composition."""

from __future__ import annotations

import threading

import pytest

from search.stop import (
    AbsoluteGap,
    AnyOf,
    BoundStop,
    EvaluationLimit,
    ObjectiveStop,
    OwnerStop,
    SolutionLimit,
    StoppingCriterion,
    TargetGap,
    TimeLimit,
    TimeOf,
    from_budget,
)
from trimtab.results import Incumbent, Limit


def test_the_least_that_any_part_leaves() -> None:
    assert AnyOf(TimeLimit(5.0)).evaluations_left() is None
    stop = AnyOf(TimeLimit(5.0), EvaluationLimit(7), AnyOf(EvaluationLimit(4)))
    assert stop.evaluations_left() == 4
    stop.spend(3)
    assert stop.evaluations_left() == 1
    assert not stop(None)
    stop.spend(5)
    assert stop.evaluations_left() == 0
    assert stop(None)


def test_a_budget_limits_evaluations() -> None:
    budget = from_budget({"seconds": 3.0, "evaluations": 12}, threading.Event())
    assert isinstance(budget, AnyOf)
    assert budget.evaluations_left() == 12


def test_every_criterion_can_be_asked_for_time_and_evaluations() -> None:
    criteria: list[StoppingCriterion] = [
        TimeLimit(5.0),
        TargetGap(0.1),
        EvaluationLimit(3),
        OwnerStop(threading.Event()),
        AnyOf(),
    ]
    for criterion in criteria:
        assert not criterion(None)
        assert criterion.limit is None
        assert criterion.remaining_s() > 0
        assert criterion.evaluations_left() in (None, 3)
        criterion.spend(1)
    assert [c.evaluations_left() for c in criteria] == [None, None, 2, None, None]


def test_a_deadline_ends_the_run_once_the_clock_has_passed_it() -> None:
    now = [10.0]
    stop = TimeLimit(2.0, clock=lambda: now[0])
    assert not stop(None)
    now[0] = 12.0
    assert stop(None)
    assert stop.limit is Limit.TIME
    now[0] = 15.0
    assert stop.remaining_s() == 0.0


def test_the_first_part_that_ends_gives_its_limit() -> None:
    event = threading.Event()
    stop = from_budget({"seconds": 60.0, "target_gap": 0.01}, event)
    assert not stop(Incumbent(elapsed_s=1.0, objective=5.0, gap=0.02))
    assert stop(Incumbent(elapsed_s=2.0, objective=5.0, gap=0.01))
    event.set()
    assert stop(None), "an end is not taken back"
    assert stop.limit is Limit.TARGET_GAP
    assert stop.remaining_s() == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TimeLimit(0.0), "expected seconds > 0"),
        (lambda: TimeLimit(float("nan")), "expected seconds > 0"),
        (lambda: TargetGap(1.5), r"in \[0, 1\]"),
        (lambda: EvaluationLimit(0), "count >= 1"),
    ],
)
def test_impossible_limits_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_an_absolute_gap_is_in_units_of_the_objective() -> None:
    stop = AbsoluteGap(2.0)
    assert not stop(None)
    assert not stop(Incumbent(elapsed_s=0, objective=10.0, bound=None))
    assert not stop(Incumbent(elapsed_s=0, objective=10.0, bound=7.9))
    assert stop(Incumbent(elapsed_s=0, objective=-10.0, bound=-8.0))
    assert stop.limit is Limit.TARGET_GAP
    with pytest.raises(ValueError, match="a number >= 0, got -1"):
        AbsoluteGap(-1)


@pytest.mark.parametrize(
    ("maximize", "objectives", "bounds"),
    [(False, [12.0, 10.0], [1.0, 5.0]), (True, [8.0, 10.0], [20.0, 5.0])],
)
def test_objective_and_bound_stops_know_the_sense(
    maximize: bool, objectives: list[float], bounds: list[float]
) -> None:
    objective, bound = (
        ObjectiveStop(10.0, maximize=maximize),
        BoundStop(5.0, maximize=maximize),
    )
    points = [
        Incumbent(elapsed_s=0, objective=value, bound=side)
        for value, side in zip(objectives, bounds, strict=True)
    ]
    assert not objective(None)
    assert not bound(None)
    assert not objective(points[0])
    assert not bound(points[0])
    assert objective(points[1])
    assert bound(points[1])
    assert (objective.limit, bound.limit) == (Limit.OBJECTIVE, Limit.BOUND)


def test_a_solution_limit_counts_objectives_once() -> None:
    limit = SolutionLimit(2)
    first = Incumbent(elapsed_s=0, objective=3.0)
    assert not limit(None)
    assert not limit(first)
    assert not limit(first)
    assert limit(Incumbent(elapsed_s=1, objective=2.0))
    assert limit.limit is Limit.SOLUTIONS


def test_the_time_of_a_criterion_ignores_its_other_limits() -> None:
    gap = AnyOf(TimeLimit(60.0), AbsoluteGap(1.0))
    assert gap(Incumbent(elapsed_s=0, objective=1.0, bound=1.0))
    assert not TimeOf(gap)(None)
    assert TimeOf(gap).remaining_s() > 0

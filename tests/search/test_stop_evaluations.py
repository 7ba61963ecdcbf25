"""How many evaluations a composed criterion leaves."""

from __future__ import annotations

import threading

from search.stop import AnyOf, EvaluationLimit, TimeLimit, from_budget


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


def test_a_budget_says_it() -> None:
    budget = from_budget({"seconds": 3.0, "evaluations": 12}, threading.Event())
    assert isinstance(budget, AnyOf)
    assert budget.evaluations_left() == 12

"""The question which reading is meant: order is said where the readings differ in it."""

from __future__ import annotations

from dataclasses import replace

from search.domains.plan.choosing.question import question_of
from search.domains.plan.domain import OFFERED
from tests.search.domains.plan.choosing.test_forms import reading, wish


def test_order_is_said_of_readings_that_differ_in_it() -> None:
    ordered = reading(wish("a.lp"), wish("b.lp"), order=((0, 1),))
    free = reading(wish("a.lp"), wish("b.lp"))
    first, second = question_of([ordered, free], OFFERED).options
    assert first.endswith("; job 1 before job 2")
    assert second.endswith("; in any order")


def test_one_job_has_no_order() -> None:
    ordered = reading(wish("a.lp"), wish("b.lp"), order=((0, 1),))
    (_, second) = question_of([ordered, reading(wish("a.lp"))], OFFERED).options
    assert second == "B: 1 job: ilp a.lp"


def test_a_job_that_takes_an_output_is_not_said_to_run_in_any_order() -> None:
    taking = replace(wish("b.lp"), outputs={"warm_start": (0, "solution.sol")})
    flow = reading(wish("a.lp"), taking)
    ordered = reading(wish("a.lp"), wish("b.lp"), order=((0, 1),))
    first, second = question_of([flow, ordered], OFFERED).options
    assert first.endswith("ilp b.lp with solution.sol of job 1")
    assert second.endswith("; job 1 before job 2")

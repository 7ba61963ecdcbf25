"""Readings compared by what their jobs are, not by how they are numbered."""

from __future__ import annotations

from dataclasses import replace

from search.domains.plan.choosing.forms import compared, same
from search.domains.plan.domain import OFFERED
from search.domains.plan.types import Order, Reading, Value, Wish
from trimtab.plans import NotDone, Question, Span


def wish(model: str, **values: object) -> Wish:
    """Return a job that solves a model."""
    paths = {
        "seconds": "budget.seconds",
        "threads": "spec.threads",
        "engine": "spec.engine",
    }
    return Wish(
        kind="ilp",
        intent="solve",
        files={"model": model},
        values=tuple(
            Value(path=paths[name], value=value, spans=())
            for name, value in values.items()
        ),
    )


def reading(*wishes: Wish, order: tuple[tuple[int, int], ...] = ()) -> Reading:
    """Return a reading of some jobs."""
    edges = tuple(
        Order(parent=a, child=b, needs_success=False, why="then") for a, b in order
    )
    return Reading(goal="g", wishes=wishes, order=edges)


def test_jobs_in_another_order_are_the_same() -> None:
    one = reading(wish("a.mps", seconds=5), wish("b.mps"), order=((0, 1),))
    two = reading(wish("b.mps"), wish("a.mps", seconds=5), order=((1, 0),))
    assert compared(one, two, OFFERED).same


def test_defaults_do_not_count() -> None:
    one = reading(wish("a.mps", seconds=60, engine="highs", threads=2))
    assert compared(one, reading(wish("a.mps")), OFFERED).same


def test_what_differs_is_told_apart() -> None:
    one = reading(wish("a.mps", seconds=5, threads=8))
    two = reading(wish("a.mps", seconds=6, engine="scip"))
    (pair,) = compared(one, two, OFFERED).pairs
    assert pair.differing == ("budget.seconds",)
    assert pair.only_one == ("spec.threads",)
    assert pair.only_other == ("spec.engine",)


def test_an_order_that_follows_from_the_rest_does_not_count() -> None:
    jobs = (wish("a.mps"), wish("b.mps"), wish("c.mps"))
    one = reading(*jobs, order=((0, 1), (1, 2)))
    two = reading(*jobs, order=((0, 1), (1, 2), (0, 2)))
    assert compared(one, two, OFFERED).same
    assert compared(one, reading(*jobs), OFFERED).order_differs


def test_another_job_has_no_pair() -> None:
    one = reading(wish("a.mps"), wish("b.mps"))
    found = compared(one, reading(wish("b.mps")), OFFERED)
    assert found.alone == (0,)
    assert not found.same_jobs


def test_parts_not_done_agree_where_they_overlap() -> None:
    part = NotDone(text="mail me", reason="no", spans=(Span(start=3, end=10),))
    near = part.model_copy(update={"spans": (Span(start=8, end=20),)})
    one = replace(reading(wish("a.mps")), not_done=(part,))
    assert compared(one, replace(one, not_done=(near,)), OFFERED).same
    assert not compared(one, reading(wish("a.mps")), OFFERED).same


def test_questions_differ_by_what_they_are_about() -> None:
    question = Question(text="?", about="spec.devices.0.count", options=())
    one = replace(reading(wish("a.mps")), questions=(question,))
    two = replace(
        one, questions=(question.model_copy(update={"about": "devices.count"}),)
    )
    assert compared(one, two, OFFERED).same
    assert compared(one, reading(wish("a.mps")), OFFERED).questions_differ


def test_numbers_agree_within_a_millionth_and_some_lists_as_sets() -> None:
    assert same("budget.seconds", 90, 90.0000001)
    assert not same("spec.symmetric", 1, True)
    assert same("spec.constraints.no_split", ["a", "b"], ["b", "a"])
    assert not same("spec.feed", [3, 5], [5, 3])

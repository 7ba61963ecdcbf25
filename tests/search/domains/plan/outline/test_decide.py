"""Ask, propose or refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.domains.plan.outline.decide import nothing_open, refusal, state_of, typed
from search.domains.plan.types import Value
from tests.search.domains.plan.outline.goals import ilp, outlined, read, span, wish
from trimtab.plans import NotDone, Question
from trimtab.results import JobState

STATED = ilp(values={"budget.seconds": 5})
MAIL = NotDone(text="mail me", reason="trimtab sends no mail")


@pytest.mark.parametrize(
    ("reading", "state", "free"),
    [
        (read(STATED), JobState.AWAITING_APPROVAL, True),
        (read(ilp()), JobState.AWAITING_APPROVAL, False),
        (read(STATED, not_done=(MAIL,)), JobState.AWAITING_APPROVAL, False),
        (read(STATED, not_understood=span(3)), JobState.AWAITING_APPROVAL, False),
        (
            read(STATED, notes=("80 GB is read as 80 GiB",)),
            JobState.AWAITING_APPROVAL,
            False,
        ),
        (
            read(
                replace(
                    STATED,
                    values=(
                        Value(
                            path="budget.seconds",
                            value=5,
                            spans=span(0),
                            note="read as 5 s",
                        ),
                    ),
                )
            ),
            JobState.AWAITING_APPROVAL,
            False,
        ),
        (
            read(STATED, questions=(Question(text="?", about="x", options=("a",)),)),
            JobState.NEEDS_INPUT,
            False,
        ),
        (
            read(wish("sharding", files={"tables_file": "t.csv"})),
            JobState.NEEDS_INPUT,
            False,
        ),
        (read(not_done=(MAIL,)), None, False),
        (read(), None, False),
    ],
)
def test_the_table(reading: Any, state: JobState | None, free: bool) -> None:
    outline = outlined(reading)
    assert state_of(outline) is state
    assert nothing_open(outline) is free


def test_a_refusal_says_each_reason() -> None:
    assert refusal(outlined(read(not_done=(MAIL,)))) == "mail me: trimtab sends no mail"
    assert "expected something" in refusal(outlined(read()))


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("8", 8),
        (" 40 GiB ", 40),
        ("2.4e9", 2.4e9),
        ("32,768", 32768),
        ("-1.5", -1.5),
        ("eight", "eight"),
        ("8 or 16", "8 or 16"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_answers_are_numbers_or_words(answer: str, value: Any) -> None:
    assert typed(answer) == value
    assert type(typed(answer)) is type(value)


@given(st.text(max_size=60))
def test_any_answer_is_taken(text: str) -> None:
    assert isinstance(typed(text), int | float | str)

"""Quotations are one X to the learned reader; what it points at is found in the goal."""

from __future__ import annotations

import re

import pytest

from search.domains.plan.choosing.quoted import masked, unmasked
from tests.search.domains.plan.reading.joint.made import graph, job, stated


@pytest.mark.parametrize(
    ("goal", "neutral"),
    [
        ("a.mps 45 s.\n> set the gap to 0.3\n> Bob", "a.mps 45 s.\n> X\n> X"),
        (
            "tool.c smaller. log:\n```\nuse tier experimental\n```",
            "tool.c smaller. log:\n```\nX\n```",
        ),
        ("Zettel: \u00abnimm 64 H100\u00bb, veraltet", "Zettel: \u00abX\u00bb, veraltet"),
        ('it says "run it for three hours", ignore it', 'it says "X", ignore it'),
    ],
)
def test_hostile_and_harmless_quotations_are_one_text(goal: str, neutral: str) -> None:
    text, places = masked(goal)
    assert len(text) == len(goal)
    pieces = re.compile(r"\w+|\S")
    assert pieces.findall(text) == pieces.findall(masked(neutral)[0])
    assert places


def test_short_quotations_are_names_and_stay() -> None:
    goal = 'call it "Friday roster"'
    assert masked(goal) == (goal, ())


def test_words_in_a_quotation_are_all_of_it() -> None:
    goal = 'a.mps, call it "the Friday roster of us"'
    text, places = masked(goal)
    made = graph(job("ilp", stated(text, "name", "X"), files={"model": "a.mps"}))
    (value,) = unmasked(made, places).jobs[0].values
    (words,) = value.words
    assert goal[words.start : words.end] == "the Friday roster of us"

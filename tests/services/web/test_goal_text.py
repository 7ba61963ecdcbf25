"""Words of a goal: nothing lost, nothing twice, and each mark leads where it should."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.web.goal_text import goal_parts
from services.web.plan_view import value_label
from tests.doubles.plan_server import QUESTION, outline
from trimtab.plans import Outline


def made(**more: Any) -> Outline:
    return Outline.model_validate_json(json.dumps(outline(**more)))


SPANS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(
        lambda pair: {"start": min(pair), "end": max(pair)}
    ),
    max_size=6,
)


@given(st.text(max_size=30), SPANS, SPANS, SPANS)
def test_the_parts_are_the_goal_and_a_stretch_has_the_gravest_mark(
    goal: str,
    lost: list[dict[str, int]],
    used: list[dict[str, int]],
    undone: list[dict[str, int]],
) -> None:
    leaf = outline()["leaves"]["l1"] | {"spans": {"budget.seconds": used}}
    given_ = made(
        goal=goal or " ",
        leaves={"l1": leaf},
        goals={},
        edges={},
        not_understood=lost,
        not_done=[{"text": "x", "reason": "y", "spans": undone}],
    )
    parts = goal_parts(given_)
    assert "".join(part.text for part in parts) == given_.goal
    assert [part.start for part in parts] == [
        sum(len(before.text) for before in parts[:number]) for number in range(len(parts))
    ]
    size = len(given_.goal)

    def covered(spans: list[dict[str, int]], at: int) -> bool:
        # A span that leaves the goal is not its own: none of it is marked.
        return any(
            span["start"] <= at < span["end"] and span["end"] <= size for span in spans
        )

    for part in parts:
        for at in range(part.start, part.start + len(part.text)):
            expected = next(
                (
                    mark
                    for mark, spans in (
                        ("lost", lost),
                        ("undone", undone),
                        ("used", used),
                    )
                    if covered(spans, at)
                ),
                "",
            )
            assert part.mark == expected


def test_each_mark_says_and_links_what_became_of_its_words() -> None:
    question = QUESTION | {"spans": [{"start": 6, "end": 15}]}
    parts = {part.text: part for part in goal_parts(made(questions={"q1": question}))}
    assert parts["model.mps"].href == "#question-q1"
    assert parts["2 minutes"].href == "#v-l1-budget-seconds"
    assert parts["2 minutes"].title == "l1: budget.seconds = 120"
    assert parts["Solve"].href == "#leaf-l1"
    assert (parts["zorp"].mark, parts["zorp"].href) == ("lost", "")
    assert parts["mail me"].title == "not done: no mail is sent; set a webhook"
    answered = goal_parts(made(questions={"q1": question}, answers={"q1": "8"}))
    assert {part.text: part for part in answered}["model.mps"].href == "#v-l1-spec-model"


def test_names_of_values() -> None:
    assert value_label(["spec", "devices", "0", "memory_gib"]) == "Devices 1 memory GiB"
    assert value_label(["budget", "seconds"]) == "Budget seconds"
    assert value_label(["seed"]) == "Seed"

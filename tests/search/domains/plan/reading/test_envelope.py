"""Names, labels, attempts, webhooks and fitted models that a goal states in words."""

from __future__ import annotations

import pytest

from tests.search.domains.plan.reading.test_kinds_of_fault import read, values

MODEL = "mdl_01J8ZQ4X7N2V5K9M3R6T0W1Y8B"


@pytest.mark.parametrize(
    ("goal", "path", "value"),
    [
        ("Solve a.mps for 60 s and call it Friday roster.", "name", "Friday roster"),
        ('a.mps, 60 s, name it "so or so".', "name", "so or so"),
        ("a.mps, 60 s. Name of the job: night plan", "name", "night plan"),
        ("a.mps, 60 s, label it team=ops, a = b.", "labels", {"team": "ops", "a": "b"}),
        ("a.mps, 60 s; tagged as project=unity please", "labels", {"project": "unity"}),
        ("a.mps, 60 s, no retries.", "max_attempts", 1),
        ("a.mps, 60 s, up to five attempts if a worker dies.", "max_attempts", 5),
        ("a.mps, 60 s, start over at most twice if a worker dies", "max_attempts", 2),
        ("a.mps, 60 s. POST to https://x.example/done at the end.", "webhook.url", "https://x.example/done"),
        ("a.mps, 60 s, hit https://x.example/d?id=1.", "webhook.url", "https://x.example/d?id=1"),
        ("a.mps, 60 s with the shipped model, not our fitted one", "model", "shipped"),
        (f"a.mps, 60 s, fitted model {MODEL}.", "model", MODEL),
    ],
)  # fmt: skip
def test_part_of_the_envelope(goal: str, path: str, value: object) -> None:
    reading = read(goal, "a.mps")
    assert len(reading.wishes) == 1
    assert values(reading) == {"budget.seconds": 60, path: value}
    assert not reading.questions
    assert not reading.not_done


@pytest.mark.parametrize(
    "goal",
    [
        "Solve a.mps for 60 s and call me when it is done.",
        "Solve a.mps for 60 s and call it a day.",
        "Solve a.mps for 60 s, with labels on the axes.",
        "Solve a.mps for 60 s and post the results to https://x.example/in.",
        "Solve a.mps for 60 s, data from https://x.example/a, call it off otherwise.",
        'Solve a.mps for 60 s. My colleague wrote "name it Bob".',
    ],
)
def test_other_words_are_no_envelope(goal: str) -> None:
    assert values(read(goal, "a.mps")) == {"budget.seconds": 60}


@pytest.mark.parametrize(
    "goal",
    [
        'Solve a.mps and b.mps for 60 s each; call the former "left" and the latter "right".',
        'Solve a.mps and b.mps for 60 s each, names "left" and "right".',
    ],
)
def test_names_are_given_in_turn(goal: str) -> None:
    reading = read(goal, "a.mps", "b.mps")
    assert [values(reading, job)["name"] for job in (0, 1)] == ["left", "right"]


def test_many_attempts_without_a_word_of_workers_are_none_of_a_job() -> None:
    assert "max_attempts" not in values(read("Shrink a.c in nine attempts.", "a.c"))

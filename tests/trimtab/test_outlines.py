"""Rows and text of outlines: each value with the words it comes from."""

from __future__ import annotations

import json
from typing import Any

from tests.doubles.plan_server import outline
from trimtab.outlines import (
    grouped,
    open_questions,
    outline_text,
    privacy_text,
    values_of,
    waits_for,
)
from trimtab.plans import Outline


def made(**more: Any) -> Outline:
    return Outline.model_validate_json(json.dumps(outline(**more)))


def with_leaf(spec: dict[str, Any], **more: Any) -> Outline:
    leaf = outline()["leaves"]["l1"] | {"spec": spec} | more
    return made(leaves={"l1": leaf})


def rows(given: Outline) -> dict[str, tuple[str, str, str]]:
    found = values_of(given, given.leaves["l1"])
    return {row.path: (row.text, row.words, row.default) for row in found}


def test_each_value_has_its_words_or_its_reason() -> None:
    given = made()
    assert rows(given) == {
        "spec.model": ("model.mps", "model.mps", ""),
        "spec.engine": ("scip", "SCIP", ""),
        "budget.seconds": ("120", "2 minutes", ""),
    }
    second = {row.path: row for row in values_of(given, given.leaves["l2"])}
    assert second["spec.warm_start"].text == "solution.sol of l1"
    assert second["budget.seconds"].default == "no time is given"


def test_words_of_a_group_speak_for_its_parts_and_parts_for_the_whole() -> None:
    goal = "8 GPUs of 80 GB, also 16"
    devices = [{"count": 8, "memory_gib": 80.0}]
    given = with_leaf(
        {"devices": devices, "what_if": [16, 32], "tables": [{}] * 200, "lns": {}},
        spans={
            "spec.devices": [{"start": 0, "end": 6}],
            "spec.devices.0.memory_gib": [{"start": 10, "end": 15}],
            "spec.what_if.0": [{"start": 22, "end": 24}],
        },
        defaults={"spec.what_if": "twice as many", "seed": "always 0"},
    ).model_copy(update={"goal": goal})
    found = rows(given)
    assert found["spec.devices.0.count"] == ("8", "8 GPUs", "")
    assert found["spec.devices.0.memory_gib"] == ("80", "80 GB", "")
    assert found["spec.what_if"] == ("16, 32", "16", "twice as many")
    assert found["spec.tables"] == ("200 entries", "", "")
    assert found["seed"] == ("0", "", "always 0")


def test_text_of_untrusted_length_is_shortened() -> None:
    given = with_leaf({"text": "line\n" * 500, "flags": ["x" * 50] * 9})
    assert all(
        len(text) <= 120 and "\n" not in text for text, _, _ in rows(given).values()
    )
    long = given.model_copy(update={"goal": "word " * 5000})
    assert len(outline_text(long).split("\n")[0]) <= 120


def test_nothing_is_lost_whose_parent_is_missing() -> None:
    leaf = outline()["leaves"]["l1"]
    given = made(
        goals={"g1": {"title": "G"}},
        stages={"s1": {"title": "S", "goal": "g9"}},
        leaves={"l1": leaf, "l2": leaf | {"stage": "s9"}},
        edges={},
    )
    assert [leaf for _, stages in grouped(given) for _, inner in stages for leaf in inner]
    text = outline_text(given)
    assert text.count("Further jobs") >= 2
    assert "    l1  ilp" in text
    assert "    l2  ilp" in text


def test_order_comes_from_edges_and_from_files() -> None:
    given = made()
    assert waits_for(given, "l2") == [("l1", True)]
    spec = {"model": {"digest": "sha256:" + "0" * 64}}
    leaf = outline()["leaves"]["l2"] | {"spec": spec}
    plain = made(leaves={"l1": outline()["leaves"]["l1"], "l2": leaf})
    assert waits_for(plain, "l2") == [("l1", False)]
    assert "after l1, however it ends" in outline_text(plain)


def test_questions_and_privacy() -> None:
    question = {"text": "Which?", "about": "file", "options": ["a", "b"]}
    given = made(questions={"q1": question, "q2": question}, answers={"q1": "a"})
    assert open_questions(given) == ["q2"]
    text = outline_text(given)
    assert "answered: a" in text
    assert "a / b / other text" in text
    assert "nothing left this machine" in privacy_text(given)
    assert "were sent" in privacy_text(given.model_copy(update={"sends_text": True}))
    bare = given.model_copy(update={"text_model": ""})
    assert "without a language model" in privacy_text(bare)


def test_what_is_set_of_the_envelope_is_shown() -> None:
    given = with_leaf(
        {},
        priority=5,
        name="Friday",
        labels={"team": "ops"},
        max_attempts=1,
        webhook={"url": "https://x.example/d"},
        model="shipped",
    )
    shown = {path: text for path, (text, _, _) in rows(given).items()}
    assert {
        path: text for path, text in shown.items() if path[:6] not in ("budget",)
    } == {
        "priority": "5",
        "name": "Friday",
        "labels.team": "ops",
        "max_attempts": "1",
        "webhook.url": "https://x.example/d",
        "model": "shipped",
    }


def test_the_text_says_who_read_the_goal() -> None:
    assert "Read by: rules" in outline_text(made(reader="rules"))
    assert "Read by" not in outline_text(made())

"""Words for values, titles and whole outlines."""

from __future__ import annotations

from typing import Any

import pytest

from search.domains.plan.outline.describe import duration, listed, title, words
from tests.search.domains.plan.outline.goals import ilp, outlined, read, span, then, wish
from trimtab.plans import NotDone


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("budget.target_gap", 0.005, "0.5 %"),
        ("budget.seconds", 90, "90 s"),
        ("budget.seconds", 7200.0, "2 h"),
        ("spec.engine", "cp-sat", "CP-SAT"),
        ("spec.lns.enabled", False, "no"),
        ("spec.what_if", [16, 32], "16 and 32"),
        ("spec.model", {"digest": "sha256:0", "name": "a.lp"}, "a.lp"),
        ("spec.warm_start", {"leaf": "l1", "output": "x.sol"}, "x.sol of l1"),
        ("spec.bands", [{"f_lo_hz": 2.4e9, "f_hi_hz": 2.5e9}], "2.4 to 2.5 GHz"),
        (
            "spec.devices",
            [{"count": 8, "memory_gib": 80.0, "hardware": "a100"}],
            "8 A100 of 80 GiB",
        ),
        ("spec.devices", [{"count": 8}], "8 devices"),
        ("spec.global_batch", 65536, "65,536"),
    ],
)
def test_values_in_words(path: str, value: Any, said: str) -> None:
    assert words(path, value) == said


def test_lists_and_durations() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert [duration(s) for s in (1, 60, 90, 3600, 5400)] == [
        "1 s",
        "1 min",
        "90 s",
        "1 h",
        "90 min",
    ]


def test_titles_are_short_and_complete() -> None:
    assert title("Solve {spec.model}", {"spec": {}}) == "Solve …"
    long = {"spec": {"model": {"digest": "x", "name": "n" * 500}}}
    assert len(title("Solve {spec.model}", long)) == 200


def test_the_plan_is_read_back_with_every_value() -> None:
    rows = [
        ilp("a.lp", values={"spec.engine": "scip", "budget.seconds": 30, "seed": 4}),
        wish(
            "sharding",
            word=3,
            files={"tables_file": "t.csv"},
            values={
                "spec.devices.0.count": 8,
                "spec.devices.0.memory_gib": 40,
                "spec.global_batch": 4096,
                "spec.constraints.no_split": ["user", "ad"],
            },
        ),
    ]
    lost = NotDone(text="mail me", reason="trimtab sends no mail")
    outline = outlined(
        read(*rows, order=(then(0, 1),), not_done=(lost,), not_understood=span(8))
    )
    text = outline.understood
    for said in (
        "a.lp",
        "SCIP",
        "at most 30 s",
        "seed 4",
        "8 devices of 40 GiB",
        "4,096",
        "user and ad",
        "after l1",
        "60 s, because the goal states no time",
    ):
        assert said in text, (said, text)
    assert not any(word in text for word in ("mail me", "nine"))
    assert len(text.splitlines()) == 2


def test_the_plan_is_read_back_with_the_envelope_of_a_job() -> None:
    values = {
        "priority": 5,
        "name": "Friday",
        "labels": {"team": "ops"},
        "max_attempts": 1,
        "webhook.url": "https://x.example/d",
        "model": "shipped",
    }
    said = (
        "priority 5, called “Friday”, attempts at most 1, fitted model shipped, label team=ops, "
        "calls https://x.example/d at its end)"
    )
    assert said in outlined(read(ilp("a.lp", values=values))).understood

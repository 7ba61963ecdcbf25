"""The measured table of budgets gives every type of text a rule that the engine can run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from search.text_model import CachePolicy, TextModelError
from workers.llm import budgets
from workers.llm.policies import resolve


def test_every_type_has_a_default_that_can_run() -> None:
    assert set(budgets.text_types()) == {"prose", "code", "ledger"}
    for text in budgets.text_types():
        budget = budgets.default(slots=256, text=text)
        assert budget.slots == 256
        rule = resolve(budget, pinned=[], tokens=1000, limit=1000)
        assert rule.capacity == 256


def test_an_ordinary_call_is_prose() -> None:
    assert budgets.default(slots=64) == budgets.default(slots=64, text="prose")


def test_an_unmeasured_type_is_refused() -> None:
    with pytest.raises(TextModelError, match=r"text: expected one of .*prose.*, got 'x'"):
        budgets.default(slots=64, text="x")


def test_the_default_loses_no_more_than_rivals_in_the_table() -> None:
    names = {
        CachePolicy.STREAMING: "streaming",
        CachePolicy.H2O: "h2o {score}",
    }
    for content in budgets.table()["texts"].values():
        default = content["default"]
        name = names[CachePolicy(default["policy"])].format(**default)
        loss = mean_loss(content, name)
        # The default was chosen on other segments: a draw is allowed.
        assert loss <= mean_loss(content, "h2o sum") + 0.02
        assert loss <= mean_loss(content, "streaming") + 0.02


def mean_loss(content: dict[str, Any], rule: str) -> float:
    found = [
        one["nats_above_full"]
        for one in content["rules"]
        if one["rule"] == rule and not one["after_prompt"]
    ]
    assert len(found) == 2
    return sum(found) / 2


def test_the_file_says_where_it_comes_from() -> None:
    content = json.loads(budgets.FILE.read_text())
    assert "python -m workers.bench tables" in content["about"]
    assert content["model"] == "smollm2-135m-instruct"

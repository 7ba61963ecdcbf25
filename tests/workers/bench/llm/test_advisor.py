"""Budget advisor on a decoder of a few numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.workers.bench.llm.test_quality import MODEL
from workers.bench.llm import advisor
from workers.bench.llm.advisor import (
    PREDICTED,
    UNIFORM,
    divergences,
    layered,
    proposals,
    run,
)
from workers.bench.llm.oracle import FULL, simulate
from workers.bench.llm.quality import arm
from workers.bench.llm.texts import Segment, TextType
from workers.llm import budgets

TOKENS = 130


def segment(number: int) -> Segment:
    ids = tuple((number + 7 * i * i) % 50 for i in range(TOKENS))
    return Segment(type=TextType.CODE, number=number, ids=ids)


SEGMENTS = {
    "calibrate": [segment(0)],
    "choose": [segment(1)],
    "test": [segment(2), segment(3)],
}


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    return list(run(MODEL, SEGMENTS, shares=(0.4,)))


def test_equal_budgets_are_the_rule_itself() -> None:
    own = segment(4)
    same = layered(own, [24, 24])
    rule = arm(budgets.default(slots=24, text="code"), slots=24)
    both = simulate(
        MODEL.config, MODEL.weights, torch.tensor(own.ids), [FULL, same, rule]
    )
    torch.testing.assert_close(both.hidden[1], both.hidden[2])
    assert torch.equal(both.left[:, 1], both.left[:, 2])


def test_a_layer_evicts_by_its_own_budget() -> None:
    own = segment(4)
    ids = torch.tensor(own.ids)
    left = simulate(
        MODEL.config, MODEL.weights, ids, [FULL, layered(own, [15, 40])]
    ).left[:, 1]
    stayed = (left == len(ids)).sum(-1)
    # After each step one token goes, so that the next one fits.
    assert stayed.tolist() == [[14, 14], [39, 39]]


def test_a_full_cache_does_not_diverge_and_a_short_one_does() -> None:
    own = segment(4)
    whole, short = divergences(
        MODEL, own, [FULL, layered(own, [TOKENS, TOKENS]), layered(own, [15, 15])]
    )[1:]
    assert whole == pytest.approx(0, abs=1e-6)
    assert short > 1e-3


def test_proposals_have_the_same_total(lines: list[dict[str, Any]]) -> None:
    advice = proposals([line for line in lines if line["stage"] == "calibrate"], 0.4)
    assert {sum(slots) for slots in advice.values()} == {104}
    assert advice[UNIFORM] == [52, 52]
    assert min(min(slots) for slots in advice.values()) >= advisor.LEAST_SLOTS


def test_the_card_judges_on_the_test_texts_alone(lines: list[dict[str, Any]]) -> None:
    card = lines[-1]
    assert card["stage"] == "card"
    chosen = card["chosen"]["0.4"]
    figures = card["figures"]["0.4"]
    assert figures[chosen]["texts"] == 2
    assert card["helps"]["0.4"] == (figures[chosen]["high"] <= 0.9)
    tuned = {
        one["proposal"]: one["nats"]
        for line in lines
        if line["stage"] == "choose"
        for one in line["kl"]
    }
    assert chosen == min(
        (name for name in tuned if name != UNIFORM), key=tuned.__getitem__
    )
    assert PREDICTED in figures
    assert len(card["law"]["measured"]) == MODEL.config.layers


def test_lines_that_are_there_are_not_measured_again(lines: list[dict[str, Any]]) -> None:
    again = list(run(MODEL, SEGMENTS, shares=(0.4,), lines=lines[:-1]))
    assert again == lines[-1:]

"""Budget advisor on a decoder of a few numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from search.text_model import Sampling, TextModelError
from tests.workers.bench.llm.test_quality import MODEL
from workers.bench.llm.advisor.divergence import divergences, layered
from workers.bench.llm.advisor.proposals import PREDICTED, UNIFORM, proposals
from workers.bench.llm.advisor.stages import run
from workers.bench.llm.model import Endless, bare_engine
from workers.bench.llm.oracle import FULL, simulate
from workers.bench.llm.quality import arm
from workers.bench.llm.texts import Segment, TextType
from workers.llm import budgets
from workers.llm.engine import Options
from workers.llm.policies import LEAST_LAYER_SLOTS, resolve

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
    assert min(min(slots) for slots in advice.values()) >= LEAST_LAYER_SLOTS


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


def test_the_engine_evicts_by_layer_as_the_oracle_does() -> None:
    own = segment(5)
    slots, weights = 30, (0.5, 1.5)
    budget = replace(budgets.default(slots=slots, text="code"), layer_weights=weights)
    rule = resolve(budget, pinned=[], tokens=TOKENS, limit=TOKENS)
    assert [capacity for capacity, _ in rule.layers] == [21, 39]
    arms = [FULL, layered(own, [21, 39])]
    expected = simulate(MODEL.config, MODEL.weights, torch.tensor(own.ids), arms)
    decoder = bare_engine(
        MODEL.config,
        MODEL.weights,
        Endless(),
        options=Options(sequences=2, slots=TOKENS),
    ).decoder
    plain = resolve(
        replace(budget, layer_weights=()), pinned=[], tokens=TOKENS, limit=TOKENS
    )
    with torch.inference_mode():
        for t, token in enumerate(own.ids):
            # A sequence with equal slots beside it is not touched.
            hidden = decoder.decode([token] * 2, [1, 0], [t] * 2, [rule, plain])
            torch.testing.assert_close(
                hidden[0], expected.hidden[1, t], rtol=1e-3, atol=1e-3
            )
    filled = [int(layer.filled[1]) for layer in decoder.cache.layers]
    assert filled == [21, 39]
    assert [int(layer.filled[0]) for layer in decoder.cache.layers] == [30, 30]
    assert decoder.cache.filled(1) == 39


def test_a_prompt_is_cut_by_layer() -> None:
    own = segment(6)
    budget = replace(budgets.default(slots=30, text="code"), layer_weights=(0.5, 1.5))
    engine = bare_engine(
        MODEL.config,
        MODEL.weights,
        Endless(),
        options=Options(sequences=1, slots=30, chunk=16, default=budget),
    )
    handle = engine.submit_tokens(own.ids[:50], [False] * 50, Sampling(max_tokens=5))
    assert len(list(handle)) == 5
    with pytest.raises(TextModelError, match="expected 2, one for each layer, got 3"):
        engine.submit_tokens(
            own.ids[:50],
            [False] * 50,
            Sampling(max_tokens=5),
            replace(budget, layer_weights=(1.0, 1.0, 1.0)),
        )


def test_slots_by_layer_keep_the_total_and_their_least() -> None:
    base = budgets.default(slots=20, text="code")
    for weights in ((1.0, 1.0), (0.0, 2.0), (3.0, 0.5, 0.1)):
        rule = resolve(
            replace(base, layer_weights=weights), pinned=[], tokens=500, limit=500
        )
        capacities = [capacity for capacity, _ in rule.layers]
        assert sum(capacities) <= 20 * len(weights)
        assert min(capacities) >= 12
    few = replace(base, slots=12, layer_weights=(0.5, 1.5))
    assert resolve(few, pinned=[], tokens=500, limit=500).layers == ()
    short = replace(base, layer_weights=(0.5, 1.5))
    assert resolve(short, pinned=[], tokens=15, limit=500).layers == ()
    with pytest.raises(TextModelError, match=r"cache\.layer_weights: expected finite"):
        resolve(replace(base, layer_weights=(-1.0, 1.0)), pinned=[], tokens=9, limit=9)

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.text_model import Capabilities, Ended, Finish, TextRequest, Token
from workers.bench.plan import adherence


class Obedient:
    """Writes its leaf when it is held to it, and something else when it is free."""

    capabilities = Capabilities(name="fake", context_tokens=500, streams=2, control=True)

    def generate(self, request: TextRequest, ended: Ended, **_: Any) -> Iterator[Token]:
        text = request.control[0].text if request.control else "A bird sang in the tree."
        yield Token(id=0, text=text, logprob=-1.0)
        ended.finish = Finish.STOP

    def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        return [-1.0 for _ in continuations]


def test_leaves_differ_and_have_no_figure() -> None:
    rows = adherence.leaves(60, seed=0)
    assert len({row.text for row in rows}) == 60
    assert not any(c.isdigit() for row in rows for c in row.text)


def test_a_model_that_obeys_gains_and_the_cut_lets_few_strangers_pass(
    tmp_path: Path,
) -> None:
    free, held, *_ = adherence.judged(
        Obedient(),  # type: ignore[arg-type]
        tmp_path / "passages.jsonl",
        count=60,
        seed=0,
        strengths=(0.0, 3.0),
    )
    assert free["adherence"] < 0.1
    assert held["adherence"] > 0.9
    assert held["gain_points"] > 80
    low, high = held["interval"]
    assert low <= held["gain_points"] <= high


def test_an_interrupted_arm_goes_on_and_writes_nothing_twice(tmp_path: Path) -> None:
    rows, store = adherence.leaves(40, seed=0), tmp_path / "passages.jsonl"
    model: Any = Obedient()
    some = adherence.arm(model, rows[:20], store, strength=3.0, seed=3)
    both = adherence.arm(model, rows, store, strength=3.0, seed=3)
    assert both[:20] == some
    assert len(store.read_text().splitlines()) == len(both) == 40


def test_similarity_is_one_for_the_same_text_and_ignores_common_words() -> None:
    same = adherence.word_vectors(["the cat sat", "the dog ran", "the cow lay"])
    assert same(["the cat sat"], ["the cat sat"]) == pytest.approx(1.0)
    assert same(["the cat sat"], ["the dog ran"])[0] == pytest.approx(0.0)


def test_repetition_counts_repeated_groups_of_four_words() -> None:
    assert adherence.repeated("a b c d e f g h") == 0
    assert adherence.repeated("a b c d a b c d") == pytest.approx(1 / 5)
    assert adherence.repeated("a b") == 0


def test_the_interval_of_equal_arms_is_around_nothing() -> None:
    arm = np.arange(100) % 2 == 0
    gain, (low, high) = adherence._gain(arm, arm, seed=0)
    assert (gain, low, high) == (0.0, 0.0, 0.0)

"""Features of words: forms of a word, weights, and the two ways to compute them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.text.words import (
    Said,
    Tokens,
    Vocabulary,
    course,
    different,
    normal_form,
)

TEXTS = [
    "the",
    " of",
    " Index",
    " indexes",
    "indexed",
    " table",
    " tables",
    " storm",
    "!",
]


def tokens(ids: list[int], seed: int = 0) -> Tokens:
    rows = np.random.default_rng(seed).standard_normal((len(TEXTS), 4))
    rows[3] = rows[2]
    units = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return Vocabulary.of(TEXTS).tokens(ids, units[ids])


@pytest.mark.parametrize(
    ("text", "form"),
    [(" Tables", "tabl"), ("table", "tabl"), (" is", "is"), ("Using", "us"), ("\n", "")],
)
def test_forms_of_a_word(text: str, form: str) -> None:
    assert normal_form(text) == form


def test_rare_tokens_weigh_more() -> None:
    weights = Vocabulary.of([f" w{i}" for i in range(5000)]).weights
    assert (np.diff(weights) >= 0).all()
    assert weights[:300] == pytest.approx(0.02)
    assert weights[-1] == pytest.approx(1.0)


def test_a_word_counts_once() -> None:
    wanted = different(tokens([2, 3, 5]))
    assert len(wanted.weights) == 2  # two forms of one word
    said = Said(wanted)
    first = said.after(tokens([4, 7]))
    assert first[0, 0] == 1.0  # another form of a word is the word
    assert first[0, 1] > 0
    assert first[1, 1] == 0
    said.add(tokens([4]))
    again = said.after(tokens([3, 6]))
    assert again[0, 1] == pytest.approx(first[0, 1])
    assert again[1, 1] == pytest.approx(1.0)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=12), st.integers(0, 5))
def test_step_by_step_is_the_whole_course(ids: list[int], cut: int) -> None:
    wanted = different(tokens([2, 5, 8, 1]))
    whole = course(tokens(ids), wanted)
    assert ((whole[:, 1] >= 0) & (whole[:, 1] <= 1 + 1e-6)).all()
    said = Said(wanted)
    said.add(tokens(ids[:cut]))
    for place in range(cut, len(ids)):
        assert said.after(tokens([ids[place]]))[0] == pytest.approx(
            whole[place], abs=1e-5
        )
        said.add(tokens([ids[place]]))

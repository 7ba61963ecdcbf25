"""Typing errors: which word was meant, and which words are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.domains.plan.reading.lexicon import lexicon_of
from search.domains.plan.reading.stems import Speller, error
from search.domains.plan.reading.tokens import Form, Token
from tests.search.domains.plan.reading.phrasing import SPECS

WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)


def corrected(word: str) -> str:
    lexicon = lexicon_of(tuple(sorted(SPECS.items())))
    token = Token(form=Form.WORD, text=word, word=word, start=0, end=len(word))
    return lexicon.correct(token).word


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("feeed", "feed"),  # a letter doubled
        ("alocated", "allocated"),  # one of a double letter missing, not "located"
        ("colums", "columns"),
        ("tehn", "then"),  # swapped letters of a word of order
        ("afterwrads", "afterwards"),
        ("exlcude", "exclude"),
        ("hunderd", "hundred"),
        ("hihgs", "highs"),
        ("sceonds", "seconds"),
    ],
)
def test_the_likeliest_word_is_meant(typed: str, meant: str) -> None:
    assert corrected(typed) == meant


@pytest.mark.parametrize(
    "word",
    [
        "undivided",
        "unchanged",
        "alter",
        "exist",
        "lots",
        "tires",
        "detected",
        "entered",
        "master",
    ],
)
def test_other_english_words_are_no_typing_errors(word: str) -> None:
    assert corrected(word) == word


def test_words_that_are_as_likely_leave_the_word_alone() -> None:
    speller = Speller(["cart", "card"], right=[])
    assert speller.correct("carp") is None
    assert speller.correct("carx") == "card"  # the keys are neighbours


@given(WORDS, WORDS)
def test_an_error_costs_nothing_only_for_the_word_itself(one: str, other: str) -> None:
    assert (error(one, other) == 0) == (one == other)


@given(WORDS.filter(lambda word: len(word) > 3), st.data())
def test_swapped_neighbours_are_the_likeliest_error(
    word: str, data: st.DataObject
) -> None:
    i = data.draw(st.integers(1, len(word) - 2))
    swapped = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    assert error(swapped, word) <= 0.6

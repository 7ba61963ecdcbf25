"""The cursor over words of LP files."""

from __future__ import annotations

from fractions import Fraction

import pytest

from solvers.errors import ModelError
from solvers.exact.lp_cursor import Cursor
from solvers.exact.lp_tokens import tokens
from solvers.exact.model import Builder, ExactLimits


def cursor(text: str) -> Cursor:
    build = Builder(limits=ExactLimits())
    it = Cursor(tokens([f"min\n{text}".split("\n")]), build)
    it.advance()
    return it


def test_looking_ahead_takes_no_word() -> None:
    it = cursor("a: b: c")
    assert it.at_label()
    assert it.at_label_before_name()
    assert it.label() == "a"
    assert it.at_label()
    assert it.label() == "b"
    assert not it.at_label()
    assert it.advance().text == "c"
    assert it.now.kind == it.advance().kind == it.now.kind == "end"


def test_signs_multiply() -> None:
    it = cursor("- + - - 2")
    assert it.signs()
    assert it.number() == 2


@pytest.mark.parametrize(
    ("text", "side"),
    [("- inf", (None, -1)), ("-3.5", (Fraction(-7, 2), 0)), ("1e20", (None, 1))],
)
def test_sides(text: str, side: tuple[Fraction | None, int]) -> None:
    assert cursor(text).side() == side


def test_unexpected_words_are_shown_with_their_line() -> None:
    with pytest.raises(ModelError, match="line 2: expected a number, got 'x'"):
        cursor("x").number()
    with pytest.raises(ModelError, match="expected 2 after /, got '3'"):
        cursor("3").two("2 after /")
    with pytest.raises(ModelError, match="got the section 'End'"):
        cursor("end").column()
    with pytest.raises(ModelError, match="got the end of the file"):
        cursor("").compare()

"""Words of LP files."""

from __future__ import annotations

import pytest

from solvers.errors import ModelError
from solvers.exact.lp_tokens import tokens


def words(text: str) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in tokens([text.split("\n")])]


def test_brackets_after_a_letter_belong_to_the_name() -> None:
    assert words("min\n x[1,2] + [ y^2 ]")[1:-1] == [
        ("name", "x[1,2]"),
        ("sign", "+"),
        ("other", "["),
        ("name", "y"),
        ("other", "^"),
        ("number", "2"),
        ("other", "]"),
    ]


def test_comparisons_are_one_of_three() -> None:
    texts = [
        text
        for kind, text in words("min\n x <= y =< z => w == v > u")
        if kind == "compare"
    ]
    assert texts == ["<", "<", ">", "=", ">"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("bounds", "section"),
        ("bounds >= 1", "name"),
        ("end_1 <= 1", "name"),
        ("bin(2) + x >= 1", "name"),
        ("Subject To", "section"),
        ("general constraints", "section"),
    ],
)
def test_section_words_are_names_before_a_comparison(text: str, kind: str) -> None:
    assert words(f"min\n{text}")[1][0] == kind


def test_comments_are_left_out_and_lines_are_counted() -> None:
    last = list(tokens([["\\ a comment", "min x \\ more", ""]]))[-1]
    assert (last.kind, last.line) == ("end", 3)


def test_other_characters_are_refused() -> None:
    with pytest.raises(ModelError, match=r"line 2: .*U\+0001"):
        words("min\n x \x01")

"""Regular expressions as grammars, against Python's `re`."""

from __future__ import annotations

import json
import random
import re

import pytest

from tests.workers.llm.grammar_texts import expression
from workers.llm import regex_grammar
from workers.llm.grammar_error import BadGrammar

EXPRESSIONS = (
    r"abc",
    r"^a|bc$",
    r"(ab|c)*d?",
    r"[a-c]{2,3}x+?",
    r"[^a-c]b",
    r"\d+(\.\d{1,2})?",
    r"a{2}|b{1,}",
    r"[\w.\-]+",
    r"(?:a(?:b|c)){0,2}",
    r"[\]a-]",
    r"\x61\u0062\.",
    r"",
    r"a||b",
)


def of(text: str) -> regex_grammar.Node:
    return regex_grammar.parse(text, field="pattern")


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_matches_as_python_does(text: str) -> None:
    peer = re.compile(text.removeprefix("^").removesuffix("$"))
    grammar = expression(regex_grammar.grammar_text(of(text), json=False, field="p"))
    dice = random.Random(text)
    for _ in range(3000):
        drawn = "".join(dice.choice("abcdx1.2-]z") for _ in range(dice.randrange(7)))
        assert bool(grammar.fullmatch(drawn)) == bool(peer.fullmatch(drawn)), drawn


@pytest.mark.parametrize(
    "text",
    [
        r"(?=a)b",
        r"(?!a)",
        r"(?P<n>a)",
        r"(?i)a",
        r"(a)\1",
        r"\bword",
        r"a^b",
        r"a$b",
        r"*a",
        r"a)",
        r"(a",
        r"[a",
        r"[]",
        r"[z-a]",
        r"a{3,2}",
        r"a{1,1000000}",
        r"(a{1,100}){1,101}",
        r"((a{1,50}b{1,50}){1,50}){1,50}",
        r"a{x}",
        "\\",
        r"\p{L}",
        r"\ud800",
        "(" * 40 + "a" + ")" * 40,
        "a" * 5000,
    ],
)
def test_refused_by_name(text: str) -> None:
    with pytest.raises(BadGrammar, match="pattern: expected"):
        of(text)


@pytest.mark.parametrize(
    ("text", "least", "most", "expected"),
    [
        (r"[a-z]+", 1, 100, (1, 100)),
        (r"[a-z]*", 5, 100, (5, 100)),
        (r"https?://\S+", 0, 20, (8, 20)),
        (r"([+-]a+(,[+-]a+)*)?", 0, 50, (0, 41)),
        (r"a{2,4}", 0, None, (2, 4)),
    ],
)
def test_lengths_are_kept(
    text: str, least: int, most: int | None, expected: tuple[int, int]
) -> None:
    tree = regex_grammar.within(of(text), least, most, field="pattern")
    assert regex_grammar.lengths(tree) == expected


@pytest.mark.parametrize(("least", "most"), [(5, None), (0, 2)])
def test_lengths_that_cannot_be_kept(least: int, most: int | None) -> None:
    with pytest.raises(BadGrammar, match="put the lengths into the pattern"):
        regex_grammar.within(of("a{3,4}"), least, most, field="pattern")


def test_within_json_strings() -> None:
    tree = of(r'a"b\\c[^x]')
    grammar = expression(regex_grammar.grammar_text(tree, json=True, field="pattern"))
    assert grammar.fullmatch(json.dumps('a"b\\cz')[1:-1])
    for last in ('"', "\\", "\n", "x"):
        assert not grammar.fullmatch('a\\"b\\\\c' + last)

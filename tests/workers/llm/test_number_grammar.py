"""Numbers within bounds, against exhaustive lists."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from tests.workers.llm.grammar_texts import expression
from workers.llm import number_grammar
from workers.llm.grammar_error import BadGrammar


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0, 0),
        (0, 9),
        (5, 5),
        (-3, 3),
        (-120, -7),
        (7, 1234),
        (99, 1001),
        (-1, 0),
        (0, 1300),
    ],
)
def test_integers(low: int, high: int) -> None:
    grammar = expression(number_grammar.integer(low, high, field="x"))
    for value in range(-1500, 1500):
        assert bool(grammar.fullmatch(str(value))) == (low <= value <= high), value
    for text in ("", "-", "-0", "00", "007", "+1", "1.0", " 1"):
        assert not grammar.fullmatch(text)


def test_random_integers() -> None:
    dice = random.Random(0)
    for _ in range(60):
        low, high = sorted(dice.randrange(-(10**15) + 1, 10**15) for _ in range(2))
        grammar = expression(number_grammar.integer(low, high, field="x"))
        for value in (low, high, low - 1, high + 1, (low + high) // 2):
            assert bool(grammar.fullmatch(str(value))) == (low <= value <= high)


def bounds(dice: random.Random) -> tuple[Decimal, Decimal]:
    digits = dice.randrange(4)
    a, b = (round(Decimal(dice.uniform(-12, 12)), digits) for _ in range(2))
    return min(a, b), max(a, b)


def test_decimals() -> None:
    dice = random.Random(1)
    texts = [
        f"{Decimal(n).scaleb(-d):f}" for d in range(4) for n in range(-13_000, 13_000, 7)
    ]
    texts += ["-0", "00", ".5", "5.", "1.", "-.5"]
    for _ in range(60):
        low, high = bounds(dice)
        open_low, open_high = dice.random() < 0.5, dice.random() < 0.5
        if low == high and (open_low or open_high):
            continue
        grammar = expression(
            number_grammar.number(
                low, high, open_low=open_low, open_high=open_high, field="x"
            )
        )
        for text in dice.sample(texts, 1500):
            try:
                value = Decimal(text)
            except ArithmeticError:
                value = Decimal(99)
            inside = low <= value <= high
            inside &= not (open_low and value == low) and not (
                open_high and value == high
            )
            well_formed = text[0] != "." and text[-1] != "." and not text.startswith("-.")
            well_formed &= text not in ("-0", "00") and not (
                value == 0 and text[0] == "-"
            )
            if value in (low, high) and text.endswith("0"):
                continue  # a bound need not be written with zeros behind it
            expected = inside and well_formed
            assert bool(grammar.fullmatch(text)) == expected, (low, high, text)


def test_one_sided_and_without_bounds() -> None:
    grammar = expression(
        number_grammar.number(Decimal(0), None, open_low=True, open_high=False, field="x")
    )
    assert grammar.fullmatch("2400000000")
    assert grammar.fullmatch("0.001")
    assert not grammar.fullmatch("0")
    assert not grammar.fullmatch("0.000")
    assert not grammar.fullmatch("-1")
    free = number_grammar.number(None, None, open_low=False, open_high=False, field="x")
    grammar = expression(free.replace("\\u002d", "\\-"))
    for text in ("0", "-1.5", "3e8", "2.5e-10", "-0"):
        assert grammar.fullmatch(text)


def test_nothing_within_bounds() -> None:
    with pytest.raises(BadGrammar, match="widen"):
        number_grammar.integer(3, 2, field="x")
    one = Decimal(1)
    with pytest.raises(BadGrammar, match="widen"):
        number_grammar.number(one, one, open_low=True, open_high=False, field="x")

"""Numbers written in words: "a hundred and fifty", "two point four", "half a dozen"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from search.domains.plan.reading.stems import listed
from search.domains.plan.reading.tokens import Form, Token

NUMBER_WORDS = {
    word: float(i)
    for i, word in enumerate(
        listed(
            "zero one two three four five six seven eight nine ten eleven twelve "
            "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
        )
    )
}
_TENS = {
    word: 10.0 * i
    for i, word in enumerate(
        listed("twenty thirty forty fifty sixty seventy eighty ninety"), 2
    )
} | {"fourty": 40.0}
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9}
_FRACTIONS = {
    "half": 0.5,
    "quarter": 0.25,
    "quarters": 0.25,
    "third": 1 / 3,
    "thirds": 1 / 3,
    "tenth": 0.1,
    "tenths": 0.1,
    "fifth": 0.2,
    "fifths": 0.2,
    "hundredth": 0.01,
}
_SMALL = ("tenth", "tenths", "fifth", "fifths", "hundredth")
_ARTICLES = ("a", "an")
ORDINALS = {
    word: i
    for i, word in enumerate(
        listed("first second third fourth fifth sixth seventh eighth ninth tenth")
    )
}
NUMERALS = frozenset(
    (*NUMBER_WORDS, *_TENS, *_SCALES, *_FRACTIONS, "hundred", "dozen", "couple")
)
_ENDINGS = ("st", "nd", "rd", "th")


@dataclass
class _Sum:
    total: float = 0.0
    current: float = 0.0
    last: str = ""  # kind of the last word taken: unit, ten, scale, number

    @property
    def value(self) -> float:
        return self.total + self.current


def with_numerals(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens with every number in words as one NUMBER token.

    A lone "one" or "a" stays inexact: it is a number only where a unit or a counted noun follows.
    """
    result: list[Token] = []
    i = 0
    while i < len(tokens):
        read = _number_at(tokens, i)
        if read is None:
            result.append(tokens[i])
            i += 1
            continue
        value, end, exact = read
        first, last = tokens[i], tokens[end - 1]
        result.append(
            replace(
                first,
                form=Form.NUMBER,
                text=first.text if end == i + 1 else f"{first.text} {last.text}",
                word=f"{value:g}",
                end=last.end,
                value=value,
                exact=exact,
            )
        )
        i = end
    return result


def ordinal_of(tokens: Sequence[Token], i: int) -> tuple[int, int] | None:
    """Return (index from 0, end) of "second", "2nd" or "#2" at a place."""
    token = tokens[i]
    if token.word in ORDINALS:
        return ORDINALS[token.word], i + 1
    following = tokens[i + 1] if i + 1 < len(tokens) else None
    if (
        token.form is Form.NUMBER
        and following is not None
        and following.glued
        and following.word in _ENDINGS
        and token.value is not None
        and 1 <= token.value <= 100
    ):
        return int(token.value) - 1, i + 2
    return None


def _number_at(tokens: Sequence[Token], i: int) -> tuple[float, int, bool] | None:
    def word(j: int) -> str:
        return tokens[j].word if j < len(tokens) and tokens[j].form is Form.WORD else ""

    token = tokens[i]
    if token.form is Form.NUMBER:
        scale = word(i + 1)
        if token.value is not None and scale in (*_SCALES, "dozen", "hundred"):
            factor = _SCALES.get(scale, 12.0 if scale == "dozen" else 100.0)
            return token.value * factor, i + 2, True
        if token.value is not None and (extra := _and_a_fraction(tokens, i + 1)):
            return token.value + extra[0], extra[1], True
        return None
    if token.form is not Form.WORD:
        return None
    if fraction := _fraction(tokens, i):
        return (*fraction, True)
    start = i
    if token.word in _ARTICLES and word(i + 1) in (*_SCALES, "hundred", "dozen"):
        i += 1
    elif token.word == "a" and word(i + 1) in ("couple", "pair"):
        return 2.0, i + 3 if word(i + 2) == "of" else i + 2, True
    elif (
        token.word not in NUMBER_WORDS
        and token.word not in _TENS
        and token.word != "dozen"
    ):
        return None
    value, end = _sum(tokens, i)
    if end == start:
        return None
    if extra := _and_a_fraction(tokens, end):
        value, end = value + extra[0], extra[1]
    elif word(end) == "point" and word(end + 1) in NUMBER_WORDS:
        end += 1
        digits = ""
        while word(end) in NUMBER_WORDS and NUMBER_WORDS[word(end)] < 10:
            digits += f"{NUMBER_WORDS[word(end)]:.0f}"
            end += 1
        value += float(f"0.{digits}") if digits else 0.0
    exact = not (end == start + 1 and tokens[start].word == "one")
    return value, end, exact


def _sum(tokens: Sequence[Token], i: int) -> tuple[float, int]:
    state = _Sum()
    while i < len(tokens):
        token, word = tokens[i], tokens[i].word
        following = tokens[i + 1].word if i + 1 < len(tokens) else ""
        if token.form is Form.MARK:
            if (
                word == "-"
                and state.last in ("ten", "unit")
                and following in (*NUMBER_WORDS, *_SCALES)
            ):
                i += 1
                continue
            break
        if token.form is not Form.WORD:
            break
        if word == "and":
            if state.last not in ("hundred", "scale") or following not in (
                *NUMBER_WORDS,
                *_TENS,
            ):
                break
        elif word in NUMBER_WORDS and state.last in ("", "ten", "hundred", "scale"):
            if state.last == "ten" and not 0 < NUMBER_WORDS[word] < 10:
                break
            state.current += NUMBER_WORDS[word]
            state.last = "unit"
        elif word in _TENS and state.last in ("", "hundred", "scale"):
            state.current += _TENS[word]
            state.last = "ten"
        elif word == "hundred" and state.last in ("", "unit", "ten"):
            state.current = max(state.current, 1) * 100
            state.last = "hundred"
        elif word == "dozen" and state.last in ("", "unit"):
            state.current = max(state.current, 1) * 12
            state.last = "dozen"
        elif word in _SCALES:
            state.total += max(state.current, 1) * _SCALES[word]
            state.current = 0
            state.last = "scale"
        else:
            break
        i += 1
    return state.value, i


_ORDERED = ("one", "run", "job", "plan", "time", "attempt", "round", "pass", "model", ":")


def _fraction(tokens: Sequence[Token], i: int) -> tuple[float, int] | None:
    """Read "half an hour", "a quarter of an hour", "three quarters of an hour", "half a dozen"."""

    def word(j: int) -> str:
        return tokens[j].word if j < len(tokens) else ""

    count, at = 1.0, i
    if word(at) in _ARTICLES:
        at += 1
    elif word(at) in NUMBER_WORDS and word(at + 1 + (word(at + 1) == "-")) in (
        "quarters",
        "thirds",
        "tenths",
        "fifths",
    ):
        count, at = NUMBER_WORDS[word(at)], at + 1 + (word(at + 1) == "-")
    if word(at) in _SMALL and (
        at == i or word(at + 1) != "of" or word(at + 2) not in (*_ARTICLES, "one")
    ):
        return None
    if word(at) not in _FRACTIONS or (word(at) == "third" and at == i):
        return None
    ordinal = word(at) == "third" and word(at + 1) in _ORDERED
    if ordinal:
        return None  # "a third one"
    value = count * _FRACTIONS[word(at)]
    at += 1
    if word(at) == "of" and word(at + 1) in _ARTICLES:
        return value, at + 2
    if word(at) in _ARTICLES:
        return (value * 12, at + 2) if word(at + 1) == "dozen" else (value, at + 1)
    # "half the time" is a relation, "half an hour" a number.
    if word(at) in ("the", "as", "that", "of", "its", "this"):
        return None
    return value, at


def _and_a_fraction(tokens: Sequence[Token], i: int) -> tuple[float, int] | None:
    """Read "and a half", "and three quarters" behind a number."""
    if i >= len(tokens) or tokens[i].word != "and":
        return None
    words = [token.word for token in tokens[i + 1 : i + 3]]
    if len(words) < 2 or words[1] not in _FRACTIONS:
        return None
    if words[0] in _ARTICLES or words[0] in NUMBER_WORDS:
        return NUMBER_WORDS.get(words[0], 1.0) * _FRACTIONS[words[1]], i + 3
    return None

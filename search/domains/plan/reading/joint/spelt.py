"""Spellings of numbers that only a pointed-at text may have: "half a million", "two to the 15".

In free text such words are too often something else ("a quarter", "one in ten"); here the words are
known to state a number, so they are rewritten to digits and read again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from search.domains.plan.reading.numerals import NUMBER_WORDS

_SCALES = {
    "hundred": 100,
    "dozen": 12,
    "score": 20,
    "thousand": 1_000,
    "lakh": 100_000,
    "million": 1_000_000,
    "crore": 10_000_000,
    "billion": 1_000_000_000,
}
_PARTS = {
    "half": 2,
    "halve": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
    "tenth": 10,
    "twelfth": 12,
    "sixteenth": 16,
    "twentieth": 20,
    "hundredth": 100,
    "thousandth": 1000,
    "millionth": 1_000_000,
}
_TEENTHS = {
    word: number
    for number, word in enumerate(
        [
            "zeroth",
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
            "thirteenth",
            "fourteenth",
            "fifteenth",
            "sixteenth",
            "seventeenth",
            "eighteenth",
            "nineteenth",
            "twentieth",
        ]
    )
}
_COUNTS = {word: int(value) for word, value in NUMBER_WORDS.items()} | {
    "a": 1,
    "an": 1,
    "the": 1,
}
_COUNT = r"(?:\d+(?:\.\d+)?|" + "|".join(_COUNTS) + ")"
_SCALE = "|".join(_SCALES)
_PART = "|".join(_PARTS)
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_UNIT_HALF = re.compile(r"\b(?:an?|one) ([a-zµμ]+) and a (half|quarter)\b")
FRACTION = re.compile(
    rf"^(?:(?:about|only|just|exactly) )?(?:({_COUNT})[ -])?({_PART})s?\b(?:[ -]of)?\s*(.*)$",
    re.S,
)


def spelt(text: str) -> str:
    """Return a text with numbers in digits where it spells them in an unusual way."""
    low = text.lower().replace("μ", "u").replace("µ", "u").replace("\n", " ").strip()
    for pattern, written in _RULES:
        low = pattern.sub(written, low)
    return low


def _digits(value: float | Fraction) -> str:
    return f"{float(value):.12g}"


def _count(word: str | None) -> float:
    if not word:
        return 1.0
    return float(_COUNTS[word]) if word in _COUNTS else float(word)


def _part_of_scale(match: re.Match[str]) -> str:
    return _digits(_count(match[1]) * _SCALES[match[3]] / _PARTS[match[2]])


def _power(match: re.Match[str]) -> str:
    word = match[2]
    exponent = _TEENTHS.get(word, _COUNTS.get(word))
    if exponent is None:
        exponent = int(re.sub(r"\D", "", word) or 0)
    return _digits(_count(match[1]) ** exponent) if exponent <= 62 else match[0]


def _share(match: re.Match[str]) -> str:
    scale = _SCALES.get(match[3]) or float(match[3].replace(",", ""))
    return _digits(_count(match[1]) / scale)


def _scored(match: re.Match[str]) -> str:
    return _digits(20 * _count(match[1]) + _count(match[2] or "0"))


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str] | str], ...] = (
    (re.compile(r"(?<=\d)[  ](?=\d{3}(?:\D|$))"), ""),
    (re.compile(r"(?<![\w.])(?:nought|oh|null)\b"), "zero"),
    (re.compile(r"\boh\b"), "zero"),
    (re.compile(r"\b(?:virgule|comma|komma)\b"), "point"),
    (re.compile(r"^point\b"), "zero point"),
    (re.compile(r"\bhalf-an?-(?=[a-z])"), "half a "),
    (re.compile(r"\beinem? dutzend\b"), "12"),
    (re.compile(r"^(?:an? |the |one |full |whole )*(second|minute|hour|day)$"), r"1 \1"),
    (re.compile(r"ms ?/ ?m\b|megasiemens (?:per|a) met(?:re|er)\b"), "million s/m"),
    (_UNIT_HALF, lambda m: f"{1.5 if m[2] == 'half' else 1.25} {m[1]}"),
    (re.compile(r"\b(hours?|minutes?) (?:and|n) (?:a )?half\b"), r"and a half \1"),
    (
        re.compile(rf"\b(?:({_COUNT})[ -])?({_PART})s?(?: of)?(?: an?)? ({_SCALE})\b"),
        _part_of_scale,
    ),
    (re.compile(rf"\b({_COUNT}) score(?: and ({_COUNT}))?\b"), _scored),
    (re.compile(rf"\b({_COUNT}) (?:raised )?to the (?:power (?:of )?)?(\w+)"), _power),
    (
        re.compile(
            rf"\b({_COUNT}) (?:parts? )?(?:in|per|out of) (?:an? |one )?({_SCALE}())\b"
        ),
        lambda m: _digits(_count(m[1]) / _SCALES[m[2]]),
    ),
    (
        re.compile(rf"\b({_COUNT}) (thousandth|hundredth|tenth|millionth)s?$"),
        lambda m: _digits(_count(m[1]) / _PARTS[m[2]]),
    ),
    (
        re.compile(r"(\d[\d.]*)\s?ppm\b"),
        lambda m: _digits(float(m[1].rstrip(".")) * 1e-6),
    ),
    (
        re.compile(r"(\d[\d.]*)\s?bps?\b"),
        lambda m: _digits(float(m[1].rstrip(".")) * 1e-4),
    ),
    (re.compile(r"^an? (?=per ?mille|percent|per cent|permil)"), "1 "),
    (re.compile(r"(\d[\d.]*)\s?e(-?\d+)"), lambda m: _digits(float(m[1] + "e" + m[2]))),
    (re.compile(r"(\d[\d.]*) e(-\d+)"), lambda m: _digits(float(m[1] + "e" + m[2]))),
    (re.compile(r"\b([a-z]+|\d+) lakh\b"), lambda m: _scaled(m, 100_000)),
    (re.compile(r"\b([a-z]+|\d+) crore\b"), lambda m: _scaled(m, 10_000_000)),
    (re.compile(r"\b([a-z-]+) k\b"), r"\1 thousand"),
)


def _scaled(match: re.Match[str], scale: float) -> str:
    word = match[1]
    if word in _COUNTS or word.isdigit():
        return _digits(_count(word) * scale)
    return match[0]


def fraction_of(text: str) -> tuple[float, str] | None:
    """Return the fraction that a text begins with and the rest: "three fifths of its 80 GiB"."""
    match = FRACTION.match(text.lower().strip())
    if match is None:
        return None
    rest = re.sub(
        r"^(?:its|the|one|our|their|these)\s+", "", match[3].strip().lstrip("- ")
    )
    return _count(match[1]) / _PARTS[match[2]], rest


def said_in_hundreds(text: str) -> float | None:
    """Return a number spoken as hundreds: "eight seventy" is 870, "five eight hundred" 5800."""
    match = re.fullmatch(
        rf"(?:the )?({'|'.join(_COUNTS)})[ -]({_TENS})(?:[ -]({'|'.join(_COUNTS)}))?",
        text.strip(),
    )
    if match is not None and 1 <= _COUNTS[match[1]] <= 99:
        tens = (_TENS.split("|").index(match[2]) + 2) * 10
        return 100.0 * _COUNTS[match[1]] + tens + (_COUNTS[match[3]] if match[3] else 0)
    match = re.fullmatch(
        rf"({'|'.join(_COUNTS)}) ({'|'.join(_COUNTS)}) hundred", text.strip()
    )
    if match is not None:
        return 1000.0 * _COUNTS[match[1]] + 100.0 * _COUNTS[match[2]]
    return None

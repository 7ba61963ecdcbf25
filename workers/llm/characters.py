"""Sets of characters as sorted, disjoint ranges of code points, and their text in a grammar."""

from __future__ import annotations

from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]

_LAST = 0x10FFFF


def normal(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return ranges sorted and joined."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        elif first <= last:
            joined.append((first, last))
    return tuple(joined)


def complement(ranges: Ranges) -> Ranges:
    """Return all characters that are not in `ranges`, without surrogates."""
    left, at = [], 0
    for first, last in normal([*ranges, (0xD800, 0xDFFF)]):
        if first > at:
            left.append((at, first - 1))
        at = last + 1
    if at <= _LAST:
        left.append((at, _LAST))
    return tuple(left)


def intersection(one: Ranges, other: Ranges) -> Ranges:
    """Return characters that are in both."""
    return normal(
        (max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) <= min(b, d)
    )


def of(text: str) -> Ranges:
    """Return the characters of a text."""
    return normal((ord(c), ord(c)) for c in text)


ANY = complement(())
DIGITS = of("0123456789")
WORD = normal([(48, 57), (65, 90), (97, 122), (95, 95)])
SPACE = normal(
    [
        *of(
            "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"
        ),
        (0x2000, 0x200A),
    ]
)
# What stands for itself within a JSON string.
JSON_PLAIN = complement(normal([(0, 0x1F), (0x22, 0x22), (0x5C, 0x5C)]))


def _escaped(point: int) -> str:
    if point < 128 and chr(point).isalnum():
        return chr(point)
    # Not \\x: as many digits as follow belong to it.
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def class_text(ranges: Ranges) -> str:
    """Return a class of a grammar.

    Most of Unicode is written as a negation, which xgrammar compiles to a few states.
    """
    negated = bool(ranges) and ranges[-1][1] == _LAST
    parts = (
        _escaped(first) if first == last else f"{_escaped(first)}-{_escaped(last)}"
        for first, last in (complement(ranges) if negated else ranges)
    )
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def literal_text(text: str) -> str:
    """Return a text as a literal of a grammar."""
    return '"' + "".join(_escaped(ord(character)) for character in text) + '"'

"""Tokenizer of CPLEX LP files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from solvers.errors import ModelError


class Token(NamedTuple):
    """One word of a file."""

    kind: str  # number, name, compare (<, >, =), sign, other (: :: [ ] ^ * / -> <->), section, end
    text: str
    line: int


# Characters of names: CPLEX's list and all that are neither ASCII nor a space; digits, dots and
# slashes only after the first.
_SPACES = "\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff\\u0080-\\u009f"
_FIRST = rf"(?:[A-Za-z_!\"#$%&(),;?@`'{{}}~|]|[^\x00-\x7f{_SPACES}])"
_LATER = rf"(?:[A-Za-z_!\"#$%&(),;?@`'{{}}~|0-9./]|[^\x00-\x7f{_SPACES}])"
# A bracket right after a letter belongs to the name (x[1,2]); one around a product, or alone, does
# not.
_INDEX = r"\[[^\[\]\s^*<>=:]*\]"
_NAME = rf"{_FIRST}(?:{_LATER}|{_INDEX})*"
_WORD = re.compile(
    r"(?P<number>[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
    rf"|(?P<name>{_NAME})"
    r"|(?P<arrow>->|<->)"
    r"|(?P<compare><=|>=|=<|=>|==|<|>|=)"
    r"|(?P<sign>[+-])"
    r"|(?P<other>::|[:\[\]^*/])"
    r"|(?P<space>[ \t\r\f\v]+)"
)

_SENSES = {
    **dict.fromkeys(("max", "maximize", "maximise", "maximum"), "maximize"),
    **dict.fromkeys(("min", "minimize", "minimise", "minimum"), "minimize"),
}
_ALONE = {
    **dict.fromkeys(("st", "s.t.", "st."), "rows"),
    **dict.fromkeys(("bounds", "bound"), "bounds"),
    **dict.fromkeys(
        ("general", "generals", "gen", "gens", "integer", "integers", "int", "ints"),
        "integers",
    ),
    **dict.fromkeys(("binary", "binaries", "bin", "bins"), "binaries"),
    **dict.fromkeys(("semi-continuous", "semis", "semi"), "semi"),
    **dict.fromkeys(("sos", "sos1", "sos2"), "sos"),
    **dict.fromkeys(("pwlobj", "gencons"), "other"),
    "end": "end",
}
_PAIRS = {
    ("subject", "to"): "rows",
    ("such", "that"): "rows",
    ("lazy", "constraints"): "lazy",
    ("user", "cuts"): "lazy",
    ("general", "constraints"): "other",
}
# The most common word for each section, for messages.
SECTION_NAMES = {
    "rows": "Subject To",
    "bounds": "Bounds",
    "integers": "General",
    "binaries": "Binary",
    "semi": "Semi-Continuous",
    "sos": "SOS",
    "lazy": "Lazy Constraints",
    "end": "End",
}
# The word of a section must end there: `end_1`, `bin(2)` and `st[3]` are names.
_FIRST_WORDS = re.compile(
    rf"[ \t\r\f\v]*(semi-continuous(?!{_LATER})|{_NAME})(?:[ \t\r\f\v]+({_NAME}))?",
    re.IGNORECASE,
)
# Before a comparison, a sign or a colon such a word is the name of a variable or a label.
_NOT_A_SECTION = re.compile(r"\s*(?::(?!:)|<|>|=|\+|-|\*|\^)")


def tokens(batches: Iterable[list[str]]) -> Iterator[Token]:
    """Yield the words of all lines without comments; the last one is of kind `end`."""
    number = 0
    # After the word of the objective, `max` and `min` are names like others.
    begun = False
    for lines in batches:
        for text in lines:
            number += 1
            comment = text.find("\\")
            if comment >= 0:
                text = text[:comment]
            if not text or text.isspace():
                continue
            for token in _words(text, number, begun):
                begun = begun or token.kind == "section"
                yield token
    yield Token("end", "", number)


def _words(text: str, number: int, begun: bool) -> Iterator[Token]:
    section, place = _section(text, begun)
    if section is not None:
        yield Token("section", section, number)
    match = _WORD.match(text, place)
    size = len(text)
    while match is not None:
        kind = match.lastgroup
        if kind == "compare":
            yield Token(
                "compare",
                "<" if "<" in match[0] else ">" if ">" in match[0] else "=",
                number,
            )
        elif kind == "arrow":
            yield Token("other", match[0], number)
        elif kind != "space" and kind is not None:
            yield Token(kind, match[0], number)
        place = match.end()
        if place == size:
            return
        match = _WORD.match(text, place)
    if place < size:
        raise ModelError(
            f"expected characters of names, numbers or signs, got {text[place]!r} "
            f"(U+{ord(text[place]):04X}); names in LP files hold no spaces, "
            "'-', '+', '<', '>', '=', ':', '^' or '*'",
            line=number,
        )


def _section(text: str, begun: bool) -> tuple[str | None, int]:
    """Return the section that a line opens (None without one), and where its words begin."""
    match = _FIRST_WORDS.match(text)
    if match is None:
        return None, 0
    first, second = match[1].lower(), (match[2] or "").lower()
    pair = _PAIRS.get((first, second))
    if pair is not None and not _NOT_A_SECTION.match(text, match.end(2)):
        return pair, match.end(2)
    place = match.end(1)
    if first in _SENSES:
        if begun:
            return (_SENSES[first], place) if not text[place:].strip() else (None, 0)
        # lp_solve writes `max: x`; `max x` and `max - x` begin an objective too.
        return (
            (None, 0) if re.match(r"\s*[<>=]", text[place:]) else (_SENSES[first], place)
        )
    if first in _ALONE:
        if _ALONE[first] == "rows":
            return (
                ("rows", place) if not re.match(r"\s*[:<>=]", text[place:]) else (None, 0)
            )
        return (None, 0) if _NOT_A_SECTION.match(text, place) else (_ALONE[first], place)
    return None, 0

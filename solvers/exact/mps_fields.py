"""Fields of MPS lines, and the names of RHS, RANGES and BOUNDS sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from solvers.errors import ModelError
from solvers.exact.model import parse_side

# Columns [from, to).
_FIXED_FIELDS = ((1, 3), (4, 12), (14, 22), (24, 36), (39, 47), (49, 61))


def fixed_fields(text: str, section: str, line: int) -> list[str]:
    """Return the fields of a line with fixed columns, as many as the section has."""
    if "\t" in text:
        raise ModelError(
            "expected spaces in a file with fixed columns, got a tab", line=line
        )
    if section in ("OBJSENSE", "OBJNAME"):
        return [text.strip()]
    fields = [text[start:end].strip() for start, end in _FIXED_FIELDS]
    if section == "ROWS":
        return fields[:2]
    if section == "BOUNDS":
        # The name of the set may be blank; its columns say which field is which.
        return [*fields[:3], *([fields[3]] if fields[3] else [])]
    while len(fields) > 2 and not fields[-1]:
        fields.pop()
    return fields[1:]


def without_comment(
    words: list[str], rows: Mapping[str, int], columns: Mapping[str, int]
) -> list[str]:
    """Cut a comment off, which begins with a $ at the second word or later.

    A row or a column may still be called $r.
    """
    for place in range(1, len(words)):
        word = words[place]
        if word[0] == "$" and word not in rows and word not in columns:
            return words[:place]
    return words


def pairs_of(words: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the words two by two."""
    return zip(words[::2], words[1::2], strict=True)


class SetNames:
    """Checks that a section names one set only."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def check(self, section: str, name: str, line: int) -> None:
        """Raise ModelError when `section` has named another set before; blank names are ignored."""
        first = self._names.setdefault(section, name)
        if name and first and first != name:
            raise ModelError(
                f"expected one set in {section}, got {name[:60]!r} after {first[:60]!r}",
                line=line,
            )


class SideCache:
    """Parses each distinct spelling of a side once: most bounds of a file are the same number."""

    def __init__(self) -> None:
        self._sides: dict[str, tuple[Fraction | None, int]] = {}

    def parse(self, token: str, line: int) -> tuple[Fraction | None, int]:
        """Return (value, 0), or (None, ±1) for an infinite side."""
        side = self._sides.get(token)
        if side is None:
            side = self._sides[token] = parse_side(token, line)
        return side

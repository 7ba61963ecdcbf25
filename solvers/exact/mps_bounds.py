"""The BOUNDS section of MPS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from solvers.errors import ModelError
from solvers.exact.model import Builder
from solvers.exact.mps_fields import SetNames, SideCache

_Side = Fraction | None


@dataclass(frozen=True, kw_only=True)
class _Type:
    """Effect of one type of bound."""

    sides: str  # "l", "u" or "lu": those it sets
    values: tuple[_Side, _Side] | None = None  # lower and upper; None: a number follows
    integer: bool = False
    semicontinuous: bool = False


_TYPES = {
    "UP": _Type(sides="u"),
    "LO": _Type(sides="l"),
    "FX": _Type(sides="lu"),
    "LI": _Type(sides="l", integer=True),
    "UI": _Type(sides="u", integer=True),
    "SC": _Type(sides="u", semicontinuous=True),
    "SI": _Type(sides="u", integer=True, semicontinuous=True),
    "FR": _Type(sides="lu", values=(None, None)),
    "MI": _Type(sides="l", values=(None, None)),
    "PL": _Type(sides="u", values=(None, None)),
    "BV": _Type(sides="lu", values=(Fraction(0), Fraction(1)), integer=True),
}


class Bounds:
    """Reads bounds into a builder, and applies the defaults of columns without any."""

    def __init__(self, build: Builder, sets: SetNames, sides: SideCache) -> None:
        self._build, self._sets, self._sides = build, sets, sides
        self._set: set[tuple[int, str]] = set()  # (column, side)
        # Integer by marker and without any bound so far.
        self._by_marker: set[int] = set()

    def integer_by_marker(self, column: int) -> None:
        """Take note of a column between integer markers: without a bound it is binary."""
        self._by_marker.add(column)

    def line(self, words: list[str], line: int) -> None:
        """Read one line."""
        word, column, token = self._parts(words, line)
        build, bound = self._build, _TYPES[word]
        self._by_marker.discard(column)
        self._mark_set(column, bound.sides, line)
        if bound.integer:
            build.integer[column] = 1
        if bound.semicontinuous:
            build.semicontinuous.add(column)
        lower, upper = bound.values or self._values(word, token, line)
        if "l" in bound.sides:
            build.lower[column] = lower
        if "u" in bound.sides:
            build.upper[column] = upper

    def finish(self) -> Iterator[str]:
        """Apply the defaults. Yields the rules that were applied, as messages."""
        build = self._build
        for column, upper in enumerate(build.upper):
            if (
                upper is not None
                and upper < 0
                and build.lower[column] == 0
                and (column, "l") not in self._set
            ):
                build.lower[column] = None
                yield (
                    f"variable {build.col_names[column][:60]!r} has the upper bound "
                    f"{float(upper):g} and no lower bound: its lower bound is -infinity"
                )
        for column in self._by_marker:
            build.upper[column] = Fraction(1)

    def _mark_set(self, column: int, sides: str, line: int) -> None:
        for side in sides:
            if (column, side) in self._set:
                word = "lower" if side == "l" else "upper"
                name = self._build.col_names[column][:100]
                raise ModelError(
                    f"expected one {word} bound of variable {name!r}, got a second one",
                    line=line,
                )
            self._set.add((column, side))

    def _values(self, word: str, token: str, line: int) -> tuple[_Side, _Side]:
        bound = _TYPES[word]
        value, infinite = self._sides.parse(token, line)
        if (infinite > 0 and "l" in bound.sides) or (infinite < 0 and "u" in bound.sides):
            raise ModelError(
                f"a bound {word} of {token[:60]!r} leaves no value", line=line
            )
        if bound.semicontinuous and value == 0:
            raise ModelError(
                f"expected a bound {word} other than 0, which readers take as 0 or as none; "
                "write the bound that is meant",
                line=line,
            )
        return value, value

    def _parts(self, words: list[str], line: int) -> tuple[str, int, str]:
        """Return type, column and number (empty without one)."""
        word, rest = words[0], words[1:]
        bound = _TYPES.get(word)
        if bound is None:
            raise ModelError(
                f"expected a bound of a type such as UP or LO, got {word[:60]!r}",
                line=line,
            )
        if bound.values is None and len(rest) in (2, 3):
            *set_part, name, token = rest
            set_name = set_part[0] if set_part else ""
        elif bound.values is not None and 1 <= len(rest) <= 3:
            set_name, name = self._set_and_column(rest)
            token = ""
        else:
            raise ModelError(
                f"expected a set, a column and a number after {word}, got {len(rest)} words",
                line=line,
            )
        if set_name:
            self._sets.check("BOUNDS", set_name, line)
        column = self._build.columns.get(name)
        if column is None:
            raise ModelError(
                f"column {name[:100]!r} of BOUNDS is not in COLUMNS", line=line
            )
        return word, column, token

    def _set_and_column(self, rest: list[str]) -> tuple[str, str]:
        """Return set and column of a bound without a number.

        `MI set x`, `MI x`, `MI set x 0` and `MI x 0` are all in use; the place of a column decides.
        """
        if len(rest) == 3 or (len(rest) == 2 and rest[1] in self._build.columns):
            return rest[0], rest[1]
        return "", rest[0]

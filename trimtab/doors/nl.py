"""Read a linear model of AMPL's .nl text format into a `Draft`.

The format: Gay (2005), "Writing .nl Files". A linear model orders its columns continuous, binary,
integer, so that the counts of the header give the types. Whatever is not linear is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.adapters.draft import Draft, Number
from trimtab.doors.answer import DoorError

MAX_COUNT = 20_000_000  # columns, rows or entries; a header may claim anything
_HEADER_LINES = 10
_REFUSED = {
    "V": "defined variables (common subexpressions)",
    "F": "imported functions",
    "L": "logical constraints",
}
_SOS = ("sosno", "ref")
_FREE = 3


@dataclass(kw_only=True)
class NlModel:
    """A model read from .nl."""

    draft: Draft
    options: list[int]
    """Numbers of the first line, which a .sol repeats."""


class _Lines:
    """Lines of the file without comments; knows where it is, for messages."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        self.at = 0

    def __iter__(self) -> Iterator[list[str]]:
        while self.at < len(self._lines):
            words = self.next()
            if words:
                yield words

    def next(self) -> list[str]:
        """Return the words of the next line. Raises DoorError at the end of the file."""
        if self.at >= len(self._lines):
            raise self.bad("more lines, got the end of the file: it is cut off")
        self.at += 1
        return self._lines[self.at - 1].split("#", 1)[0].split()

    def bad(self, expected: str) -> DoorError:
        """Return the error for the current line; `expected` says what was expected and came."""
        return DoorError(f"{self._path.name}:{self.at}: expected {expected}")

    def refused(self, what: str) -> DoorError:
        """Return the error for a part that the door cannot carry."""
        return DoorError(
            f"{self._path.name}:{self.at}: expected a linear or mixed-integer linear model, got "
            f"{what}, which trimtab-ampl cannot carry; reformulate that part"
        )

    def numbers(self, words: list[str], count: int) -> list[float]:
        """Return the first `count` words as numbers. Raises DoorError."""
        try:
            return [float(word) for word in words[:count]] if len(words) >= count else []
        except ValueError:
            return []

    def pairs(self, count: int) -> Iterator[tuple[int, float]]:
        """Yield the next `count` lines of an index and a number. Raises DoorError."""
        for _ in range(count):
            words = self.next()
            try:
                yield int(words[0]), float(words[1])
            except (IndexError, ValueError):
                raise self.bad(
                    f"an index and a number, got {' '.join(words)[:60]!r}"
                ) from None


@dataclass(kw_only=True)
class _Header:
    options: list[int]
    columns: int
    rows: int
    objectives: int
    binaries: int
    integers: int

    def type_of(self, column: int) -> tuple[bool, bool]:
        """Return (is integer, is binary) of a column of a linear model."""
        continuous = self.columns - self.binaries - self.integers
        return column >= continuous, continuous <= column < continuous + self.binaries


@dataclass(kw_only=True)
class _Parts:
    """What the segments say, before it becomes a draft."""

    constants: dict[int, float] = field(default_factory=dict)
    rows: dict[int, dict[int, Number]] = field(default_factory=dict)
    gradients: dict[int, dict[int, Number]] = field(default_factory=dict)
    senses: dict[int, tuple[bool, float]] = field(default_factory=dict)
    sides: list[tuple[float, float]] = field(default_factory=list)
    bounds: list[tuple[float, float]] = field(default_factory=list)
    start: dict[int, float] = field(default_factory=dict)
    suffixes: dict[str, dict[int, float]] = field(default_factory=dict)


def read_nl(path: Path, *, objective: int = 1) -> NlModel:
    """Read a file. Raises DoorError for a damaged file and for what is not linear.

    `objective` is AMPL's `objno`: which one to take, from 1; 0 for none.
    """
    with path.open("rb") as file:
        if file.read(1) == b"b":
            raise DoorError(
                f"{path.name}: expected the text format of .nl, got the binary one; write it with "
                "`option nl_format g` (AMPL: `write gname;`)"
            )
    lines = _Lines(path)
    header = _read_header(lines)
    if not 0 <= objective <= max(1, header.objectives):
        raise DoorError(
            f"objno: expected 0 to {header.objectives}, got {objective}; the model has "
            f"{header.objectives} objectives"
        )
    parts = _Parts()
    for words in lines:
        _read_segment(lines, header, parts, words)
    draft = _draft(lines, header, parts, objective - 1)
    return NlModel(draft=draft, options=header.options)


def _read_header(lines: _Lines) -> _Header:
    rows = [lines.next() for _ in range(_HEADER_LINES)]
    first = rows[0]
    if not first or not first[0].startswith("g"):
        raise lines.bad(f"a file that begins with g, got {' '.join(first)[:40]!r}")
    try:
        options = [int(first[0][1:]), *(int(float(word)) for word in first[1:])]
        counts = [[int(word) for word in row] for row in rows[1:]]
        columns, n_rows, objectives = counts[0][:3]
        binaries, integers = counts[5][:2]
    except (ValueError, IndexError):
        raise lines.bad("ten lines of counts as header, got other words") from None
    if any(not 0 <= count <= MAX_COUNT for row in counts for count in row):
        raise lines.bad(f"counts from 0 to {MAX_COUNT}, got others")
    if binaries + integers + sum(counts[5][2:]) > columns:
        raise lines.bad("at most as many discrete variables as variables, got more")
    for count, what in (
        (sum(counts[0][5:6]), "logical constraints"),
        (counts[1][0], f"{counts[1][0]} nonlinear constraints"),
        (sum(counts[1][1:2]), "a nonlinear objective"),
        (sum(counts[1][2:4]), "complementarity conditions"),
        (sum(counts[2]), "network constraints"),
        (sum(counts[4][:1]), "linear network variables (arcs)"),
        (sum(counts[4][1:2]), "imported functions"),
        (sum(counts[5][2:]), "nonlinear discrete variables"),
        (sum(counts[8]), "defined variables (common subexpressions)"),
    ):
        if count:
            raise lines.refused(what)
    return _Header(
        options=options,
        columns=columns,
        rows=n_rows,
        objectives=objectives,
        binaries=binaries,
        integers=integers,
    )


def _read_segment(
    lines: _Lines, header: _Header, parts: _Parts, words: list[str]
) -> None:
    """Read one segment, whose first line is `words`."""
    key, first = words[0][0], words[0][1:]
    try:
        index = int(first) if first else 0
        rest = [int(word) for word in words[1:3]] if key not in "S" else []
    except ValueError:
        raise lines.bad(f"a segment, got {' '.join(words)[:60]!r}") from None
    match key:
        case "C":
            parts.constants[_within(lines, index, header.rows)] = _constant(lines)
        case "O":
            maximize = bool(rest and rest[0])
            constant = _constant(lines)
            parts.senses[_within(lines, index, header.objectives)] = maximize, constant
        case "J" | "G":
            target = parts.rows if key == "J" else parts.gradients
            most = header.rows if key == "J" else header.objectives
            terms: dict[int, Number] = {}
            for column, value in lines.pairs(_count(lines, rest)):
                column = _within(lines, column, header.columns)
                terms[column] = terms.get(column, 0.0) + value
            target[_within(lines, index, most)] = terms
        case "r":
            parts.sides = [_sides(lines) for _ in range(header.rows)]
        case "b":
            parts.bounds = [_sides(lines) for _ in range(header.columns)]
        case "x":
            for column, value in lines.pairs(index):
                parts.start[_within(lines, column, header.columns)] = value
        case "d":
            list(lines.pairs(index))
        case "k":
            for _ in range(index):
                lines.next()
        case "S":
            _read_suffix(lines, parts, words)
        case _ if key in _REFUSED:
            raise lines.refused(_REFUSED[key])
        case _:
            raise lines.bad(f"a segment (C O J G r b k x d S), got {words[0][:20]!r}")


def _count(lines: _Lines, rest: list[int]) -> int:
    if not rest or rest[0] < 0:
        raise lines.bad("the count of the segment's lines, got none")
    return rest[0]


def _within(lines: _Lines, index: int, most: int) -> int:
    if not 0 <= index < most:
        raise lines.bad(f"an index from 0 to {most - 1}, got {index}")
    return index


def _constant(lines: _Lines) -> float:
    words = lines.next()
    word = words[0] if words else ""
    if not word.startswith("n"):
        raise lines.refused(f"a nonlinear expression ({word[:10]!r})")
    values = lines.numbers([word[1:]], 1)
    if not values:
        raise lines.bad(f"n and a number, got {word[:40]!r}")
    return values[0]


def _sides(lines: _Lines) -> tuple[float, float]:
    words = lines.next()
    infinity = float("inf")
    code, values = words[0] if words else "", words[1:]
    if code == "5":
        raise lines.refused("a complementarity condition")
    if code == "0" and len(two := lines.numbers(values, 2)) == 2:
        return two[0], two[1]
    if code == str(_FREE):
        return -infinity, infinity
    one = lines.numbers(values, 1)
    if code in ("1", "2", "4") and one:
        lower = -infinity if code == "1" else one[0]
        return lower, infinity if code == "2" else one[0]
    raise lines.bad(f"a code from 0 to 4 and its numbers, got {' '.join(words)[:60]!r}")


def _read_suffix(lines: _Lines, parts: _Parts, words: list[str]) -> None:
    """Read a suffix; those of columns that declare SOS are kept, all others are skipped."""
    try:
        kind, count, name = int(words[0][1:]), int(words[1]), words[2]
    except (ValueError, IndexError):
        raise lines.bad(
            f"S, its kind, count and name, got {' '.join(words)[:60]!r}"
        ) from None
    values = dict(lines.pairs(count))
    if kind & 3 == 0 and name in _SOS:
        parts.suffixes[name] = values


def _draft(lines: _Lines, header: _Header, parts: _Parts, objective: int) -> Draft:
    """Put the parts together."""
    for got, expected, what in (
        (len(parts.sides), header.rows, "r (sides of the rows)"),
        (len(parts.bounds), header.columns, "b (bounds of the columns)"),
    ):
        if got != expected:
            raise lines.bad(f"a segment {what}, got none: the file is cut off")
    draft = Draft(source=".nl")
    for column, (lower, upper) in enumerate(parts.bounds):
        integer, binary = header.type_of(column)
        if binary:
            lower, upper = max(lower, 0.0), min(upper, 1.0)
        draft.add_column(f"v{column}", lower, upper, integer=integer)
    draft.own_columns = header.columns
    for row, (lower, upper) in enumerate(parts.sides):
        constant = parts.constants.get(row, 0.0)
        terms = parts.rows.get(row, {})
        draft.add_row(f"c{row}", terms, lower - constant, upper - constant)
    if 0 <= objective < header.objectives:
        maximize, constant = parts.senses.get(objective, (False, 0.0))
        terms = parts.gradients.get(objective, {})
        draft.set_objective(terms, constant, maximize=maximize)
    draft.set_start(parts.start.items())
    _add_sets(draft, parts.suffixes)
    return draft


def _add_sets(draft: Draft, suffixes: dict[str, dict[int, float]]) -> None:
    """Add the SOS that `sosno` and `ref` declare; its sign says whether one is of type 1 or 2."""
    members: dict[int, list[int]] = {}
    for column, number in sorted(suffixes.get("sosno", {}).items()):
        if number:
            members.setdefault(int(number), []).append(column)
    weights = suffixes.get("ref", {})
    for number, columns in members.items():
        order = [
            weights.get(column, float(place)) for place, column in enumerate(columns)
        ]
        draft.add_set(f"sos{number}", 1 if number > 0 else 2, columns, order)

"""Lists pasted as text: JSON, or CSV with a header line. Pure."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.web.forms import Control, Field
from trimtab.csv_text import delimiter_of

MAX_CSV_ROWS = 20_000
_NUMBERED = re.compile(r"(?:(.+)\.)?(.+)_(0|[1-9][0-9]{0,2})")
_NOT_IN_CSV = frozenset({Control.FILE, Control.FILES, Control.CONSTANT})

Cells = dict[str, str]
"""Texts of one row by the names of their columns; `access.alpha` is within `access`."""


class _Column(NamedTuple):
    name: str
    number: int | None  # place in a list that is spread over several columns


@dataclass(frozen=True, kw_only=True)
class Pasted:
    """Entries of a pasted list: JSON values, or rows of cells."""

    entries: Sequence[Any] = ()
    rows: Sequence[Cells] = ()

    def __len__(self) -> int:
        return len(self.entries) + len(self.rows)


def parse(item: Field, text: str) -> Pasted:
    """Parse the text pasted for a list of objects. Raises ValueError with what was expected."""
    if text.lstrip("\ufeff \t\r\n")[:1] in ("[", "{"):
        value = json_value(text.lstrip("\ufeff"))
        return Pasted(entries=value if isinstance(value, list) else [value])
    return Pasted(rows=_csv_rows(item, text))


def json_value(text: str) -> Any:
    """Parse strict JSON. Raises ValueError with what was expected."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"JSON without {constant}")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("JSON that is nested less deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"JSON ({error.msg} at line {error.lineno}, column {error.colno})"
        ) from None


def columns_of(item: Field) -> dict[str, Field]:
    """Return the columns that CSV may have, by name; a lone property is called by its last key."""
    assert item.row is not None
    depth = len(item.row.path)
    leaves = [leaf for leaf in item.row.leaves() if leaf.control not in _NOT_IN_CSV]
    return {".".join(leaf.path[depth:]): leaf for leaf in leaves}


def _csv_rows(item: Field, text: str) -> list[Cells]:
    text = text.strip("\ufeff\r\n")
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter_of(text), strict=True
    )
    lines: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append((reader.line_num, [cell.strip() for cell in cells]))
            if len(lines) > MAX_CSV_ROWS + 1:
                raise ValueError(
                    f"CSV of at most {MAX_CSV_ROWS:,} rows; send more as JSON or as a file"
                )
    except csv.Error as error:
        raise ValueError(f"CSV ({error} at line {reader.line_num})") from None
    assert item.row is not None
    if item.row.control is not Control.GROUP:  # a line is an entry, its cells the values
        return [{"": "\n".join(cell for cell in cells if cell)} for _, cells in lines]
    header = _header(item, lines[0][1]) if lines else []
    rows: list[Cells] = []
    for number, cells in lines[1:]:
        if len(cells) > len(header):
            raise ValueError(
                f"{len(header)} cells in line {number}, as in the header, not {len(cells)}"
            )
        rows.append(_gathered(header, cells, number))
    if not rows:
        raise ValueError("a header line and at least one row below it")
    return rows


def _gathered(header: Sequence[_Column], cells: Sequence[str], line: int) -> Cells:
    """Return a row; the cells of numbered columns are one text with a line each."""
    row: Cells = {}
    spread: dict[str, list[str]] = {}
    for column, cell in zip(header, cells, strict=False):
        if column.number is None:
            row[column.name] = cell
            continue
        numbers = spread.setdefault(column.name, [])
        if cell and len(numbers) < column.number:
            raise ValueError(
                f"numbers without a gap in line {line}, not a blank before {cell[:40]!r}"
            )
        if cell:
            numbers.append(cell)
    return row | {name: "\n".join(numbers) for name, numbers in spread.items()}


def numbered_columns(item: Field) -> dict[str, str]:
    """Return the lists of numbers that may be spread over columns: `bin` → `access.bins`."""
    return {
        leaf.path[-1].removesuffix("s"): name
        for name, leaf in columns_of(item).items()
        if leaf.control is Control.LINES
        and leaf.item in ("integer", "number")
        and leaf.path[-1].endswith("s")
    }


def _numbered(cell: str, spread: dict[str, str]) -> _Column | None:
    """Return the place of a cell like `bin_3` or `access.bin_3` in its list."""
    match = _NUMBERED.fullmatch(cell.casefold())
    if match is None or (name := spread.get(match.group(2))) is None:
        return None
    if match.group(1) not in (None, name.rpartition(".")[0].casefold()):
        return None
    return _Column(name, int(match.group(3)))


def _header(item: Field, cells: Sequence[str]) -> list[_Column]:
    """Return the columns of a header line. Raises ValueError."""
    known = columns_of(item)
    spoken: dict[str, list[str]] = {}
    for name, leaf in known.items():
        for alias in {name.casefold(), leaf.path[-1].casefold(), leaf.label.casefold()}:
            spoken.setdefault(alias, []).append(name)
    spread = numbered_columns(item)
    columns: list[_Column] = []
    for cell in cells:
        found = [cell] if cell in known else spoken.get(cell.casefold(), [])
        places = [_Column(name, None) for name in found]
        if not places and (place := _numbered(cell, spread)) is not None:
            count = sum(one.name == place.name for one in columns)
            if place.number != count:
                first = f"{cell[: -len(str(place.number))]}{count}"
                raise ValueError(
                    f"numbered columns in order from 0, next {first}; got {cell[:40]!r}"
                )
            places = [place]
        taken = [one for one in columns if places and _collide(one, places[0])]
        if len(places) != 1 or taken:
            which = "a repeated column" if taken else "the column"
            raise ValueError(
                f"a header line with some of the columns {', '.join(known)}; "
                f"got {which} {cell[:40]!r}"
            )
        columns.append(places[0])
    return columns


def _collide(first: _Column, second: _Column) -> bool:
    """Return True for two columns that cannot both be in a header."""
    both_numbered = first.number is not None and second.number is not None
    return first.name == second.name and not both_numbered

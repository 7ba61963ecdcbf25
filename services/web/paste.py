"""Lists pasted as text: JSON, or CSV with a header line. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.web.forms import Control, Field
from trimtab.csv_text import delimiter_of

MAX_CSV_ROWS = 20_000
_NOT_IN_CSV = frozenset({Control.FILE, Control.FILES, Control.CONSTANT})

Cells = dict[str, str]
"""Texts of one row by the names of their columns; `access.alpha` is within `access`."""


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
    rows = []
    for number, cells in lines[1:]:
        if len(cells) > len(header):
            raise ValueError(
                f"{len(header)} cells in line {number}, as in the header, not {len(cells)}"
            )
        rows.append(dict(zip(header, cells, strict=False)))
    if not rows:
        raise ValueError("a header line and at least one row below it")
    return rows


def _header(item: Field, cells: Sequence[str]) -> list[str]:
    """Return the names of the columns in a header line. Raises ValueError."""
    known = columns_of(item)
    spoken: dict[str, list[str]] = {}
    for name, leaf in known.items():
        for alias in {name.casefold(), leaf.path[-1].casefold(), leaf.label.casefold()}:
            spoken.setdefault(alias, []).append(name)
    names = []
    for cell in cells:
        found = [cell] if cell in known else spoken.get(cell.casefold(), [])
        if len(found) != 1 or found[0] in names:
            which = "a repeated column" if found and found[0] in names else "the column"
            raise ValueError(
                f"a header line with some of the columns {', '.join(known)}; "
                f"got {which} {cell[:40]!r}"
            )
        names.append(found[0])
    return names

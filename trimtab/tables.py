"""Lists of embedding tables from .csv, .json and .parquet files and data frames.

Columns: name, rows, dim; optionally pooling, features, dtype (fp32, fp16, bf16), alpha with
active_rows (a Zipf law), or bin_0 ... bin_16.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trimtab.errors import SpecError
from trimtab.faults import faults_of
from trimtab.specs.sharding import MAX_TABLES, REUSE_BINS, ReuseAccess, Table, ZipfAccess

MAX_BYTES = 64 * 2**20
_FAULTS_SHOWN = 10
REQUIRED_COLUMNS = ("name", "rows", "dim")
_BINS = tuple(f"bin_{k}" for k in range(REUSE_BINS))
_COLUMNS = (
    "name",
    "rows",
    "dim",
    "pooling",
    "features",
    "dtype",
    "alpha",
    "active_rows",
    *_BINS,
)


class TablesError(ValueError):
    """A list of tables cannot be read. Names each fault: place, expected, got."""


def read_tables(path: str | Path, *, name: str | None = None) -> tuple[Table, ...]:
    """Read the tables of a .csv, .json or .parquet file.

    `name` is a file name whose ending decides the format, when the path's does not. Parquet needs
    the package pyarrow. Raises TablesError.
    """
    path = Path(path)
    shown = name or path.name
    if (size := path.stat().st_size) > MAX_BYTES:
        raise TablesError(
            f"{shown}: expected at most {MAX_BYTES / 2**20:.0f} MiB, got {size / 2**20:.0f} MiB; "
            "split the list"
        )
    if shown.lower().endswith(".parquet"):
        return from_records(_parquet(path), source=shown)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TablesError(
            f"{shown}: expected a .csv or .json list of tables, got bytes that are not "
            f"UTF-8 (byte {error.start})"
        ) from error
    if "\x00" in text:
        raise TablesError(
            f"{shown}: expected a .csv or .json list of tables, got text with NUL characters"
        )
    if shown.lower().endswith(".json") or text.lstrip()[:1] in ("[", "{"):
        return from_records(_json(text, shown), source=shown)
    return from_records(_csv(text, shown), source=shown)


def from_dataframe(frame: Any) -> tuple[Table, ...]:
    """Read the tables of a pandas or polars data frame. Raises TablesError."""
    if hasattr(frame, "to_dicts"):  # polars
        return from_records(frame.to_dicts(), source="data frame")
    if hasattr(frame, "to_dict"):  # pandas
        return from_records(frame.to_dict(orient="records"), source="data frame")
    raise TablesError(
        f"expected a pandas or polars data frame, got {type(frame).__name__}"
    )


def from_records(
    records: Iterable[Mapping[str, Any]], *, source: str
) -> tuple[Table, ...]:
    """Make one table of each record. Raises TablesError with up to ten faults.

    `source` names the records in messages.
    """
    tables: list[Table] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for number, record in enumerate(records, start=1):
        if number > MAX_TABLES:
            raise _too_many(source)
        try:
            table = _table(record)
        except (ValidationError, SpecError) as error:
            listed = error.faults if isinstance(error, SpecError) else faults_of(error)
            faults += [f"table {number}, {fault}" for fault in listed]
        except TablesError as error:
            faults.append(f"table {number}, {error}")
        else:
            if table.name in seen:
                faults.append(
                    f"table {number}, name: {table.name!r} is already the name of table "
                    f"{seen[table.name]}; make names unique"
                )
            seen[table.name] = number
            tables.append(table)
        if len(faults) >= _FAULTS_SHOWN:
            break
    if faults:
        more = "; further faults are not shown" if len(faults) >= _FAULTS_SHOWN else ""
        raise TablesError(f"{source}: " + "; ".join(faults[:_FAULTS_SHOWN]) + more)
    if not tables:
        raise TablesError(f"{source}: expected lines with name, rows, dim, got no table")
    return tuple(tables)


def _too_many(source: str, count: int | None = None) -> TablesError:
    got = "more" if count is None else f"{count:,}"
    return TablesError(f"{source}: expected at most {MAX_TABLES:,} tables, got {got}")


def _table(record: Mapping[str, Any]) -> Table:
    if not isinstance(record, Mapping):
        raise TablesError(f"expected an object with name, rows, dim, got {record!r:.60}")
    if "access" in record:  # a table as the API has it
        return Table.model_validate_json(json.dumps(dict(record), default=str))
    cells = {str(column): cell for column, cell in record.items() if not _missing(cell)}
    if unknown := sorted(set(cells) - set(_COLUMNS)):
        columns = ", ".join(_COLUMNS[: -len(_BINS)])
        raise TablesError(
            f"unknown column {unknown[0]!r}: expected {columns}, bin_0 ... bin_16"
        )
    if missing := [column for column in REQUIRED_COLUMNS if column not in cells]:
        raise TablesError(f"{missing[0]}: missing; every table needs name, rows and dim")
    fields: dict[str, Any] = {
        "name": str(cells["name"]),
        "rows": _whole(cells["rows"], "rows"),
        "dim": _whole(cells["dim"], "dim"),
        "access": _access(cells),
    }
    if "pooling" in cells:
        fields["pooling"] = _number(cells["pooling"], "pooling")
    if "features" in cells:
        fields["features"] = _whole(cells["features"], "features")
    if "dtype" in cells:
        return Table.model_validate(
            {**fields, "dtype": str(cells["dtype"])}, strict=False
        )
    return Table(**fields)


def _access(cells: Mapping[str, Any]) -> ZipfAccess | ReuseAccess | None:
    bins = [column for column in _BINS if column in cells]
    if bins and len(bins) != REUSE_BINS:
        absent = next(column for column in _BINS if column not in cells)
        raise TablesError(f"{absent}: missing; reuse needs all of bin_0 ... bin_16")
    if bins and "alpha" in cells:
        raise TablesError(
            "expected alpha or bin_0 ... bin_16, got both; give one of them"
        )
    if "alpha" in cells:
        rows = cells.get("active_rows", cells["rows"])
        return ZipfAccess(
            alpha=_number(cells["alpha"], "alpha"),
            active_rows=_whole(rows, "active_rows"),
        )
    if "active_rows" in cells:
        raise TablesError("alpha: missing; active_rows needs the Zipf exponent beside it")
    if bins:
        return ReuseAccess(bins=tuple(_number(cells[column], column) for column in _BINS))
    return None


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _number(value: Any, column: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TablesError(
            f"{column}: expected a finite number, got {value!r:.60}"
        ) from None
    if not math.isfinite(number):
        raise TablesError(f"{column}: expected a finite number, got {value!r:.60}")
    return number


def _whole(value: Any, column: str) -> int:
    number = _number(value, column)
    if number != int(number):
        raise TablesError(f"{column}: expected a whole number, got {value!r:.60}")
    # Through float, integers of 2^53 and above would lose digits.
    if isinstance(value, int) or (isinstance(value, str) and value.strip().isdecimal()):
        return int(value)
    return int(number)


def _csv(text: str, shown: str) -> list[dict[str, Any]]:
    try:
        reader = csv.reader(io.StringIO(text), strict=True)
        header = [cell.strip() for cell in next(reader, [])]
        if missing := [column for column in REQUIRED_COLUMNS if column not in header]:
            raise TablesError(
                f"{shown}: line 1: expected columns name, rows, dim, got {header[:8]}; "
                f"{missing[0]!r} is missing"
            )
        if len(set(header)) != len(header):
            raise TablesError(f"{shown}: line 1 names a column twice: {header[:30]}")
        rows: list[dict[str, Any]] = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise TablesError(
                    f"{shown}: line {reader.line_num}: expected {len(header)} cells, one per "
                    f"column, got {len(cells)}"
                )
            if len(rows) >= MAX_TABLES:
                raise _too_many(shown)
            rows.append(dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise TablesError(f"{shown}: line {reader.line_num}: {error}") from error
    return rows


def _json(text: str, shown: str) -> list[dict[str, Any]]:
    def refuse(word: str) -> float:
        raise TablesError(f"{shown}: expected finite numbers, got {word}")

    try:
        body = json.loads(text, parse_constant=refuse)
    except (json.JSONDecodeError, RecursionError) as error:
        raise TablesError(
            f"{shown}: expected JSON, got text that does not parse: {error}"
        ) from error
    tables = body.get("tables") if isinstance(body, dict) else body
    if not isinstance(tables, list):
        raise TablesError(
            f"{shown}: expected a JSON list of tables, or an object with a list 'tables', got "
            f"{type(body).__name__}"
        )
    if len(tables) > MAX_TABLES:
        raise _too_many(shown, len(tables))
    return tables


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise TablesError(
            "reading .parquet needs the package pyarrow: pip install pyarrow, or give a .csv"
        ) from error
    file = parquet.ParquetFile(path)
    if file.metadata.num_rows > MAX_TABLES:
        raise _too_many(path.name, file.metadata.num_rows)
    rows: list[dict[str, Any]] = file.read().to_pylist()
    return rows

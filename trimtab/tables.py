"""Lists of embedding tables from .csv, .json and .parquet files and data frames.

Columns: name, rows, dim; optionally pooling, features, dtype (fp32, fp16, bf16), alpha with
active_rows (a Zipf law), or bin_0 ... bin_16. TorchRec's names num_embeddings, embedding_dim,
pooling_factor and data_type mean rows, dim, pooling and dtype.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trimtab.csv_text import decode, delimiter_of, lines_of
from trimtab.errors import SpecError
from trimtab.faults import faults_of
from trimtab.specs.sharding import MAX_TABLES, REUSE_BINS, ReuseAccess, Table, ZipfAccess

MAX_BYTES = 64 * 2**20
_FAULTS_SHOWN = 10
REQUIRED_COLUMNS = ("name", "rows", "dim")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
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
# TorchRec's names of columns and types.
_SYNONYMS = {
    "num_embeddings": "rows",
    "embedding_dim": "dim",
    "pooling_factor": "pooling",
    "data_type": "dtype",
}
_DTYPES = {
    "float32": "fp32",
    "float": "fp32",
    "float16": "fp16",
    "half": "fp16",
    "bfloat16": "bf16",
}


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
        text = decode(path.read_bytes())
    except ValueError as error:
        raise TablesError(
            f"{shown}: expected a .csv or .json list of tables, {error}"
        ) from error
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
    cells: dict[str, Any] = {}
    for column, cell in record.items():
        if _missing(cell):
            continue
        key = _column(str(column))
        if key in cells:
            raise TablesError(f"{key}: expected it once, got it under two names")
        cells[key] = cell
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
            {**fields, "dtype": _dtype(str(cells["dtype"]))}, strict=False
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


def _column(written: str) -> str:
    """Return a column's name as we have it: letters of any case, and TorchRec's names."""
    key = written.strip().casefold()
    return _SYNONYMS.get(key, key)


def _dtype(written: str) -> str:
    key = written.strip().casefold().removeprefix("datatype.").removeprefix("torch.")
    return _DTYPES.get(key, key)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _number(value: Any, column: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TablesError(
            f"{column}: expected a finite number in digits alone, such as 40000000 or 4e7, "
            f"got {value!r:.60}"
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
    delimiter = delimiter_of(text)
    rows: list[dict[str, Any]] = []
    try:
        lines = lines_of(text, delimiter)
        at, written = next(lines, (1, []))
        header = _header(written, at, shown)
        for number, cells in lines:
            if len(cells) != len(header):
                raise TablesError(
                    f"{shown}: line {number}: expected {len(header)} cells, one per column, got "
                    f"{len(cells)}"
                )
            if len(rows) >= MAX_TABLES:
                raise _too_many(shown)
            if delimiter == ";":  # where commas are decimal
                cells = [_with_point(cell) for cell in cells]
            rows.append(dict(zip(header, cells, strict=True)))
    except TablesError:
        raise
    except ValueError as error:
        raise TablesError(f"{shown}: {error}") from error
    return _without_row_numbers(rows)


def _header(written: list[str], at: int, shown: str) -> list[str]:
    header = [_column(cell) for cell in written]
    if missing := [column for column in REQUIRED_COLUMNS if column not in header]:
        raise TablesError(
            f"{shown}: line {at}: expected columns name, rows, dim, got {written[:8]}; "
            f"{missing[0]!r} is missing"
        )
    if len(set(header)) != len(header):
        raise TablesError(f"{shown}: line {at} names a column twice: {written[:30]}")
    return header


def _with_point(cell: str) -> str:
    """Return a number such as 0,9 with a decimal point; other cells as they are."""
    return cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell.strip()) else cell


def _without_row_numbers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop the nameless column of row numbers that pandas writes."""
    written = [row.get("", "").strip() for row in rows]
    if written in ([str(k) for k in range(first, first + len(rows))] for first in (0, 1)):
        return [{name: cell for name, cell in row.items() if name} for row in rows]
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

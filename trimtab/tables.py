"""Lists of embedding tables from .csv, .json and .parquet files and data frames.

Columns: name, rows, dim; optionally pooling, features, dtype (fp32, fp16, bf16), alpha with active_rows (a Zipf law), or
bin_0 ... bin_16.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trimtab.errors import SpecError
from trimtab.faults import faults_of
from trimtab.specs.sharding import MAX_TABLES, REUSE_BINS, ReuseAccess, Table, ZipfAccess

MAX_BYTES = 64 * 2**20
_FAULTS_SHOWN = 10
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
    """A list of tables cannot be read. Shows each fault: where, what came, what was wanted."""


def read_tables(path: str | Path, *, name: str | None = None) -> tuple[Table, ...]:
    """The tables in a .csv, .json or .parquet file; `name` tells the format when the path does not.

    Raises TablesError. Parquet wants the package pyarrow.
    """
    path = Path(path)
    shown = name or path.name
    if (size := path.stat().st_size) > MAX_BYTES:
        raise TablesError(
            f"{shown}: {size / 2**20:.0f} MiB came, at most {MAX_BYTES / 2**20:.0f} MiB are read; split the list"
        )
    if shown.lower().endswith(".parquet"):
        return from_records(_parquet(path), source=shown)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TablesError(
            f"{shown}: no UTF-8 text (byte {error.start}); wanted a .csv or .json list of tables"
        ) from error
    if "\x00" in text:
        raise TablesError(
            f"{shown}: contains NUL characters; wanted a .csv or .json list of tables"
        )
    if shown.lower().endswith(".json") or text.lstrip()[:1] in ("[", "{"):
        return from_records(_json(text, shown), source=shown)
    return from_records(_csv(text, shown), source=shown)


def from_dataframe(frame: Any) -> tuple[Table, ...]:
    """The tables in a pandas or polars data frame with the columns above. Raises TablesError."""
    if hasattr(frame, "to_dicts"):  # polars
        return from_records(frame.to_dicts(), source="data frame")
    if hasattr(frame, "to_dict"):  # pandas
        return from_records(frame.to_dict(orient="records"), source="data frame")
    raise TablesError(
        f"a pandas or polars data frame was wanted; {type(frame).__name__} came"
    )


def from_records(records: Iterable[Mapping[str, Any]], *, source: str) -> tuple[Table, ...]:
    """One table a record. Raises TablesError with up to ten faults."""
    tables: list[Table] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for number, record in enumerate(records, start=1):
        if number > MAX_TABLES:
            raise TablesError(
                f"{source}: more than {MAX_TABLES:,} tables; that is the most one job takes"
            )
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
                    f"table {number}, name: {table.name!r} is table {seen[table.name]} already; make names unique"
                )
            seen[table.name] = number
            tables.append(table)
        if len(faults) >= _FAULTS_SHOWN:
            break
    if faults:
        more = "; further faults are not shown" if len(faults) >= _FAULTS_SHOWN else ""
        raise TablesError(f"{source}: " + "; ".join(faults[:_FAULTS_SHOWN]) + more)
    if not tables:
        raise TablesError(f"{source}: holds no table; wanted lines with name, rows, dim")
    return tuple(tables)


def _table(record: Mapping[str, Any]) -> Table:
    if not isinstance(record, Mapping):
        raise TablesError(f"an object with name, rows, dim was wanted; {record!r:.60} came")
    if "access" in record:  # a table as the API has it
        return Table.model_validate_json(json.dumps(dict(record), default=str))
    given = {str(k): v for k, v in record.items() if not _missing(v)}
    if unknown := sorted(set(given) - set(_COLUMNS)):
        raise TablesError(
            f"column {unknown[0]!r} is not known; columns are {', '.join(_COLUMNS[: -len(_BINS)])}, bin_0 ... bin_16"
        )
    if missing := [c for c in ("name", "rows", "dim") if c not in given]:
        raise TablesError(f"{missing[0]}: is missing; every table wants name, rows, dim")
    access: ZipfAccess | ReuseAccess | None = None
    if "alpha" in given:
        rows = given.get("active_rows", given["rows"])
        access = ZipfAccess(
            alpha=_number(given["alpha"], "alpha"), active_rows=_whole(rows, "active_rows")
        )
    elif "active_rows" in given:
        raise TablesError(
            "alpha: is missing; active_rows wants the Zipf exponent beside it"
        )
    bins = [column for column in _BINS if column in given]
    if bins:
        if len(bins) != REUSE_BINS:
            absent = next(c for c in _BINS if c not in given)
            raise TablesError(f"{absent}: is missing; reuse wants all of bin_0 ... bin_16")
        if access is not None:
            raise TablesError("alpha and bin_0 ... bin_16 both came; give one of them")
        access = ReuseAccess(bins=tuple(_number(given[c], c) for c in _BINS))
    fields: dict[str, Any] = {
        "name": str(given["name"]),
        "rows": _whole(given["rows"], "rows"),
        "dim": _whole(given["dim"], "dim"),
        "access": access,
    }
    if "pooling" in given:
        fields["pooling"] = _number(given["pooling"], "pooling")
    if "features" in given:
        fields["features"] = _whole(given["features"], "features")
    if "dtype" in given:
        return Table.model_validate({**fields, "dtype": str(given["dtype"])}, strict=False)
    return Table(**fields)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _number(value: Any, column: str) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise TablesError(f"{column}: a number was wanted; {value!r:.60} came") from None
    if found != found or found in (float("inf"), float("-inf")):
        raise TablesError(f"{column}: a finite number was wanted; {value!r:.60} came")
    return found


def _whole(value: Any, column: str) -> int:
    found = _number(value, column)
    if found != int(found):
        raise TablesError(f"{column}: a whole number was wanted; {value!r:.60} came")
    # Not through float: 2^53 and above would lose digits.
    return (
        int(value)
        if isinstance(value, int) or (isinstance(value, str) and value.strip().isdecimal())
        else int(found)
    )


def _csv(text: str, shown: str) -> list[dict[str, Any]]:
    try:
        reader = csv.reader(io.StringIO(text), strict=True)
        header = [cell.strip() for cell in next(reader, [])]
        if missing := [c for c in ("name", "rows", "dim") if c not in header]:
            raise TablesError(
                f"{shown}: line 1 wants columns name, rows, dim; {missing[0]!r} is missing, {header[:8]} came"
            )
        if len(set(header)) != len(header):
            raise TablesError(f"{shown}: line 1 names a column twice: {header[:30]}")
        found: list[dict[str, Any]] = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise TablesError(
                    f"{shown}: line {reader.line_num} has {len(cells)} cells, line 1 has {len(header)} columns"
                )
            if len(found) >= MAX_TABLES:
                raise TablesError(
                    f"{shown}: more than {MAX_TABLES:,} tables; that is the most one job takes"
                )
            found.append(dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise TablesError(f"{shown}: line {reader.line_num}: {error}") from error
    return found


def _json(text: str, shown: str) -> list[dict[str, Any]]:
    def refuse(word: str) -> float:
        raise TablesError(f"{shown}: {word} is no JSON number; give a finite one")

    try:
        found = json.loads(text, parse_constant=refuse)
    except (json.JSONDecodeError, RecursionError) as error:
        raise TablesError(f"{shown}: no JSON: {error}") from error
    if isinstance(found, dict):
        found = found.get("tables")
    if not isinstance(found, list):
        raise TablesError(
            f"{shown}: a JSON list of tables, or an object with a list 'tables', was wanted"
        )
    if len(found) > MAX_TABLES:
        raise TablesError(
            f"{shown}: {len(found):,} tables came; one job takes {MAX_TABLES:,}"
        )
    return found


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise TablesError(
            "reading .parquet wants the package pyarrow: pip install pyarrow, or give a .csv"
        ) from error
    file = parquet.ParquetFile(path)
    if file.metadata.num_rows > MAX_TABLES:
        raise TablesError(
            f"{path.name}: {file.metadata.num_rows:,} tables came; one job takes {MAX_TABLES:,}"
        )
    rows: list[dict[str, Any]] = file.read().to_pylist()
    return rows

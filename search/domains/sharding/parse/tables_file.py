"""Read an uploaded list of tables with the SDK's rules; Parquet is read on the client only."""

from __future__ import annotations

from pathlib import Path

from search.types import InvalidInput
from trimtab.specs.sharding import Table
from trimtab.tables import TablesError
from trimtab.tables import read_tables as read


def read_tables(path: Path, name: str) -> tuple[Table, ...]:
    """Read the tables of an uploaded .csv or .json file. Raises InvalidInput."""
    if name.lower().endswith(".parquet"):
        raise InvalidInput(
            f"tables_file: expected a .csv or .json list, got {name}; "
            "read the .parquet file with the SDK: trimtab.tables.read_tables"
        )
    try:
        return read(path, name=name or "tables_file")
    except TablesError as error:
        raise InvalidInput(f"tables_file: {error}") from error

"""Uploaded lists of tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.domains.sharding.parse.tables_file import read_tables
from search.types import InvalidInput


def test_reads_csv(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_text("name,rows,dim,pooling\na,1000,64,2.5\n")
    (table,) = read_tables(path, "tables.csv")
    assert (table.name, table.rows, table.dim, table.pooling) == ("a", 1000, 64, 2.5)


def test_parquet_is_left_to_the_client(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"expected a \.csv or \.json list, got t\.PARQUET"
    ):
        read_tables(tmp_path / "upload", "t.PARQUET")


def test_faults_name_the_field(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_text("name,rows,dim\na,-5,64\n")
    with pytest.raises(InvalidInput, match="tables_file"):
        read_tables(path, "tables.csv")

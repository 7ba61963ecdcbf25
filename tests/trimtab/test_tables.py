from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from trimtab.specs.sharding import ReuseAccess, ZipfAccess
from trimtab.tables import TablesError, from_dataframe, read_tables

GOOD = (
    "name,rows,dim,pooling,dtype,alpha,active_rows\n"
    "user,1000000,64,3.5,fp16,0.9,50000\n"
    "item,500,16,,,,\n"
)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_and_json_say_the_same(tmp_path: Path) -> None:
    by_csv = read_tables(write(tmp_path, "t.csv", "\ufeff" + GOOD))
    user = {
        "name": "user",
        "rows": 1_000_000,
        "dim": 64,
        "pooling": 3.5,
        "dtype": "fp16",
        "alpha": 0.9,
        "active_rows": 50_000,
    }
    json_text = json.dumps({"tables": [user, {"name": "item", "rows": 500, "dim": 16}]})
    assert by_csv == read_tables(write(tmp_path, "t.json", json_text))
    assert by_csv[0].access == ZipfAccess(alpha=0.9, active_rows=50_000)
    assert by_csv[1].pooling == 1.0


@pytest.mark.parametrize(
    "written",
    [
        GOOD.replace(",", ";").replace("0.9", "0,9").replace("3.5", "3,5"),
        GOOD.replace(",", "\t"),
        GOOD.replace("\n", "\r"),
        GOOD.replace("\n", "\r\n").encode("utf-16"),
        GOOD.replace("name,rows,dim,pooling", "Name, ROWS ,embedding_dim,Pooling_Factor"),
        GOOD.replace("rows,", "num_embeddings,", 1).replace("fp16", "DataType.FP16"),
        GOOD.replace("fp16", "torch.float16"),
        "".join(
            f"{i - 1 if i else ''},{line}" for i, line in enumerate(GOOD.splitlines(True))
        ),
    ],
)
def test_dialects_of_csv(tmp_path: Path, written: str | bytes) -> None:
    plain = read_tables(write(tmp_path, "t.csv", GOOD))
    assert read_tables(write(tmp_path, "u.csv", written)) == plain


def test_bins_are_read(tmp_path: Path) -> None:
    header = "name,rows,dim," + ",".join(f"bin_{k}" for k in range(17))
    row = "a,100,8,0.5,0.5" + ",0" * 15
    (table,) = read_tables(write(tmp_path, "t.csv", f"{header}\n{row}\n"))
    assert isinstance(table.access, ReuseAccess)
    assert table.access.bins[:2] == (0.5, 0.5)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "name"),
        ("name,rows\na,5\n", "'dim' is missing"),
        ("name,rows,dim\n", "got no table"),
        ("name,rows,dim\na,-5,64\n", "rows"),
        ("name,rows,dim\na,nan,64\n", "finite"),
        ("name,rows,dim\na,5.5,64\n", "whole number"),
        ("name,rows,dim\na,5,6\n", "multiple of 4"),
        ("name,rows,dim\na,5,8\na,5,8\n", "'a' is already the name of table 1"),
        ("name,rows,dim\na,5,8,9\n", "expected 3 cells"),
        ("name,rows,dim,color\na,5,8,red\n", "unknown column 'color'"),
        ("name,rows,dim,active_rows\na,5,8,3\n", "alpha"),
        ("name,rows,dim,bin_0\na,5,8,1\n", "bin_1"),
        (b"\x1f\x8b\x08\x00\xff\xff", "got gzip; unpack it"),
        (b"PK\x03\x04sheet", "save the sheet as CSV"),
        ("name,rows,dim\npays\xe9,5,8\n".encode("latin-1"), "save it as UTF-8"),
        ('name,rows,dim\na,"40,000",8\n', "digits alone"),
        ("name,rows,num_embeddings,dim\na,5,5,8\n", "names a column twice"),
        (",name,rows,dim\n7,a,5,8\n", "unknown column ''"),
        (b"a\x00b", "NUL"),
        ('[{"name":"a","rows":NaN,"dim":8}]', "NaN"),
        ("[" * 100_000, "JSON"),
        ("name,rows,dim\n" + "".join(f"t{i},5,8\n" for i in range(10_001)), "10,000"),
    ],
)
def test_faults_are_named(tmp_path: Path, content: str | bytes, expected: str) -> None:
    with pytest.raises(TablesError, match=r"t\.csv") as caught:
        read_tables(write(tmp_path, "t.csv", content))
    assert expected in str(caught.value)


class Frame:
    """The interface that pandas and polars share with this test."""

    def __init__(self, rows: list[dict[str, object]]) -> None:
        self._rows = rows

    def to_dicts(self) -> list[dict[str, object]]:
        return self._rows


def test_frames_and_parquet(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"name": "a", "rows": 10, "dim": 8, "pooling": None}]
    (table,) = from_dataframe(Frame(rows))
    assert (table.rows, table.pooling) == (10, 1.0)
    with pytest.raises(TablesError, match="data frame"):
        from_dataframe(3)
    if find_spec("pyarrow") is None:
        pytest.skip("pyarrow is an extra")
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert read_tables(path) == (table,)

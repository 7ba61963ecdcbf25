"""The journal survives a crash at any byte."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest

from workers.batch.journal import BadJournal, Journal, JournalInUse, Json, write_parquet


def record(name: str, **more: object) -> Json:
    body: Json = {
        "id": name,
        "line": 1,
        "digest": f"d-{name}",
        "kind": "probe",
        "state": "SUCCEEDED",
        "termination": {"reason": "completed", "limit": None, "detail": ""},
        "attempts": 1,
        "seconds": 0.5,
        "usage": {},
        "result": {"seed": 3, "objective": 2.0, "verification": {"status": "valid"}},
    }
    return body | more


def test_torn_at_every_byte_of_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    with Journal(path, resume=False) as journal:
        journal.append(record("a"))
        first = path.stat().st_size
        journal.append(record("b"))
    whole = path.read_bytes()
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        with Journal(path, resume=True) as journal:
            assert journal.done == {"a": "d-a"}
            journal.append(record("b"))
        assert [orjson.loads(line)["id"] for line in path.read_bytes().splitlines()] == [
            "a",
            "b",
        ]


def test_existing_output_wants_resume(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    with Journal(path, resume=False) as journal:
        journal.append(record("a"))
    with pytest.raises(BadJournal, match="--resume"):
        Journal(path, resume=False)


def test_foreign_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    path.write_text('{"id": "a"}\n{"other": 1}\n')
    with pytest.raises(BadJournal, match="expected the output of a batch run"):
        Journal(path, resume=True)
    assert path.read_text() == '{"id": "a"}\n{"other": 1}\n'


def test_one_writer(tmp_path: Path) -> None:
    with Journal(tmp_path / "o.jsonl", resume=True), pytest.raises(JournalInUse):
        Journal(tmp_path / "o.jsonl", resume=True)


def test_parquet_has_a_row_for_each_record(tmp_path: Path) -> None:
    with Journal(tmp_path / "o.jsonl", resume=False) as journal:
        for number in range(2_500):
            journal_record = (
                record(f"j{number}")
                if number % 2
                else record(f"j{number}", state="FAILED", result=None)
            )
            # 2,500 syncs would be slow.
            journal._file.write(orjson.dumps(journal_record) + b"\n")
        journal._file.flush()
        write_parquet(journal, tmp_path / "o.parquet")
    table = pq.read_table(tmp_path / "o.parquet")
    assert table.num_rows == 2_500
    row = table.slice(1, 1).to_pylist()[0]
    assert (row["id"], row["objective"], row["seed"], row["verification"]) == (
        "j1",
        2.0,
        3,
        "valid",
    )
    assert table.slice(0, 1).to_pylist()[0]["result"] is None
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []

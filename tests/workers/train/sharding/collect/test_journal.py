"""The file of measurements survives kills and refuses to mix runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.train.sharding.collect import journal
from workers.train.sharding.collect.errors import CollectError

HEADER = {
    "kind": "run",
    "format": "x/1",
    "protocol": {"batch": 8, "dims": (1, 2)},
    "started": "monday",
}


def test_a_file_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "costs.jsonl"
    with journal.opened(path, HEADER) as book:
        assert book.lines == []
        book.append({"kind": "set", "index": 0})
    with journal.opened(path, HEADER | {"started": "tuesday"}) as book:
        assert book.lines == [{"kind": "set", "index": 0}]
        book.append({"kind": "set", "index": 1})
    header, lines = journal.read(path)
    assert header["started"] == "monday"
    assert [line["index"] for line in lines] == [0, 1]


@pytest.mark.parametrize("cut", range(1, 25))
def test_a_half_written_last_line_is_repaired(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "costs.jsonl"
    with journal.opened(path, HEADER) as book:
        book.append({"kind": "set", "index": 0})
        book.append({"kind": "set", "index": 1})
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])  # the last line has 25 bytes
    assert len(journal.read(path)[1]) == 1  # reading alone changes nothing
    assert path.read_bytes() == whole[:-cut]
    with journal.opened(path, HEADER) as book:
        assert len(book.lines) == 1
        book.append({"kind": "set", "index": 1})
    assert path.read_bytes() == whole


def test_half_a_header_and_a_long_half_line_start_anew(tmp_path: Path) -> None:
    path = tmp_path / "costs.jsonl"
    path.write_bytes(b'{"kind":"run","pool":[' + b"1," * 100_000)
    with journal.opened(path, HEADER) as book:
        assert book.lines == []
    assert path.read_text().count("\n") == 1


def test_another_protocol_is_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "costs.jsonl"
    with journal.opened(path, HEADER):
        pass
    other = HEADER | {"protocol": {"batch": 16, "dims": (1, 2)}}
    with (
        pytest.raises(
            CollectError, match=r"protocol\.batch: expected 8 as in the file, got 16"
        ),
        journal.opened(path, other),
    ):
        pass


def test_two_writers_at_once_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "costs.jsonl"
    with (
        journal.opened(path, HEADER),
        pytest.raises(CollectError, match="another collector"),
        journal.opened(path, HEADER),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"kind":"set"}\n', "line 1: got 'set'"),
        (b'{"kind":"run"}\n{"kind":"run"}\n', "line 2: got 'run'"),
        (b'{"kind":"run"}\nnonsense\n{"kind":"set"}\n', "line 2: expected JSON"),
        (b'{"kind":"run"}\n[1]\n', "line 2: expected an object"),
        (b"[" * 100_000 + b"\n", "line 1: expected JSON"),
        (b"\xff\xfe\n", "line 1: expected JSON"),
        (b"", ": empty"),
    ],
)
def test_files_of_others_are_refused(tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / "costs.jsonl"
    path.write_bytes(text)
    with pytest.raises(CollectError, match=says):
        journal.read(path)
    assert path.read_bytes() == text


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match="cannot be read"):
        journal.read(tmp_path / "no.jsonl")

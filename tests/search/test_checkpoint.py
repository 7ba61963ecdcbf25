"""Checkpoints survive a round trip, and damaged or foreign ones are refused."""

from __future__ import annotations

import os
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from search import checkpoint
from search.checkpoint import BadCheckpoint, Checkpoint, pack, read, unpack, write

GOOD = Checkpoint(
    kind="probe",
    solution=bytes(range(256)),
    bound=-1.5,
    trace=[(0.1, 3.0, None, "a"), (0.2, None, -1.5, "ü")],
    timings_s={"parse": 0.5},
)


def test_a_checkpoint_survives_a_round_trip() -> None:
    back = unpack(pack(GOOD), kind="probe")
    assert (back.solution, back.bound, back.trace, back.timings_s) == (
        GOOD.solution,
        GOOD.bound,
        GOOD.trace,
        GOOD.timings_s,
    )


def test_a_view_is_apart_from_the_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    with_view = replace(GOOD, view=b'{"objective": 1.0}')
    back = unpack(pack(with_view), kind="probe")
    assert (back.solution, back.view) == (GOOD.solution, with_view.view)
    noise = replace(GOOD, view=os.urandom(4000))
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 2000)
    assert unpack(pack(noise), kind="probe").view == b"", "a large view is left out"


def test_checkpoints_of_before_the_view_are_read() -> None:
    header = b'{"kind":"probe","bound":null,"trace":[],"timings_s":{}}'
    plain = len(header).to_bytes(4, "big") + header + b"solution"
    back = unpack(b"trimtab-checkpoint/1\n" + zlib.compress(plain), kind="probe")
    assert (back.solution, back.view) == (b"solution", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        pack(GOOD)[:-1],
        pack(GOOD)[:40],
        b"trimtab-checkpoint/1\n",
        b"trimtab-checkpoint/2\n" + pack(GOOD)[21:],
        b"trimtab-checkpoint/1\n" + zlib.compress(b"\xff\xff\xff\xff{}"),
        b"trimtab-checkpoint/1\n" + zlib.compress(b"\0\0\0\x02{}"),
        b"trimtab-checkpoint/1\n" + zlib.compress(b"\0\0\0\x04null"),
        pack(Checkpoint(kind="ilp", solution=b"")),
    ],
)
def test_damaged_or_foreign_checkpoints_are_refused(data: bytes) -> None:
    with pytest.raises(BadCheckpoint):
        unpack(data, kind="probe")


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_MAX_PLAIN_BYTES", 2**16)
    bomb = b"trimtab-checkpoint/1\n" + zlib.compress(b"\0\0\0\x02{}" + bytes(2**20))
    with pytest.raises(BadCheckpoint, match="larger"):
        unpack(bomb, kind="probe")


def test_too_large_checkpoints_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 100)
    with pytest.raises(BadCheckpoint, match="expected at most 100 bytes"):
        pack(Checkpoint(kind="probe", solution=os.urandom(200)))


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "best"
    assert read(path) is None
    write(path, b"one")
    write(path, b"two")
    assert read(path) == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["best"]


def test_only_plain_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"hush")
    link, hard, pipe, folder, large = (
        tmp_path / name for name in ("link", "hard", "pipe", "folder", "large")
    )
    link.symlink_to(secret)
    os.link(secret, hard)
    os.mkfifo(pipe)
    folder.mkdir()
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 10)
    large.write_bytes(bytes(11))
    for path in (link, hard, pipe, folder, large):
        assert read(path) is None, path.name

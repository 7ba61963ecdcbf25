"""What the readers do with files that mean harm, or are not what their names say."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from solvers.errors import ModelError
from solvers.exact import ExactLimits, read_exact
from solvers.read import ReadLimits, read_model
from tests.solvers.texts import lp, mps

READERS = pytest.mark.parametrize(
    "read", [read_model, read_exact], ids=["highs", "exact"]
)
Read = Callable[..., object]


@READERS
def test_missing_file(tmp_path: Path, read: Read) -> None:
    with pytest.raises(ModelError, match="No such file"):
        read(tmp_path / "nothing.mps")


@READERS
def test_folder(tmp_path: Path, read: Read) -> None:
    with pytest.raises(ModelError):
        read(tmp_path, format="mps")


@READERS
def test_gzip_by_content_not_by_name(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "m.mps"
    path.write_bytes(gzip.compress(mps().encode()))
    assert read(path).n == 4  # type: ignore[attr-defined]


@READERS
def test_content_addressed_file_with_its_name_beside(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "5f3a"
    path.write_text(lp())
    assert read(path, name="Model.LP").n == 3  # type: ignore[attr-defined]
    assert read(path).n == 3  # type: ignore[attr-defined]
    assert read(path, format="lp").n == 3  # type: ignore[attr-defined]


@READERS
@pytest.mark.parametrize("damage", ["cut", "flip", "tail"])
def test_damaged_gzip(tmp_path: Path, read: Read, damage: str) -> None:
    packed = bytearray(gzip.compress(mps().encode() * 50, mtime=0))
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    elif damage == "flip":
        packed[-6] ^= 0xFF  # the checksum
    else:
        packed = packed + b"junk"
    path = tmp_path / "m.mps.gz"
    path.write_bytes(packed)
    with pytest.raises(ModelError):
        read(path)


def bomb(path: Path, megabytes: int) -> Path:
    with gzip.open(path, "wb") as out:
        out.write(b"NAME\nROWS\n N o\nCOLUMNS\n")
        for _ in range(megabytes):
            out.write(b" " * 1023 + b"\n" + b"* " * 523_776)
    return path


def test_endless_line(tmp_path: Path) -> None:
    path = tmp_path / "m.mps"
    path.write_bytes(b"NAME " + b"x" * 3_000_000)
    with pytest.raises(ModelError, match="longer than"):
        read_exact(path, limits=ExactLimits(max_line_chars=1 << 20))


def test_exact_reader_respects_its_time_limit(tmp_path: Path) -> None:
    path = tmp_path / "m.mps"
    with path.open("w") as file:
        file.write("NAME\nROWS\n N o\n")
        for row in range(400_000):
            file.write(f" L row{row}\n")
    with pytest.raises(ModelError, match=r"within 0\.1 s"):
        read_exact(path, limits=ExactLimits(time_s=0.1))


@pytest.mark.parametrize(
    "number",
    ["1e999999", "1e-999999", "9" * 500, "1e401", "--1", "1e", ".", "+", "1_000", "٣"],
)
def test_invalid_numbers_are_refused(tmp_path: Path, number: str) -> None:
    path = tmp_path / "m.mps"
    path.write_text(mps(bounds=f" UP B x {number}\n"))
    with pytest.raises(ModelError, match="number"):
        read_exact(path)


@READERS
def test_names_must_be_utf8(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "m.mps"
    path.write_bytes(mps().replace("r1", "\udcff1").encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match="UTF-8"):
        read(path)


def test_limits_on_sizes(tmp_path: Path) -> None:
    path = tmp_path / "m.mps"
    path.write_text(mps())
    for limits in (
        ReadLimits(max_columns=3),
        ReadLimits(max_rows=2),
        ReadLimits(max_nonzeros=5),
    ):
        with pytest.raises(ModelError, match="at most"):
            read_model(path, limits=limits)
    with pytest.raises(ModelError, match="at most"):
        read_exact(path, limits=ExactLimits(max_entries=5))


def test_nonlinear_parts_become_extras(tmp_path: Path) -> None:
    path = tmp_path / "m.mps"
    path.write_text(mps(after="QUADOBJ\n x x 2\n", bounds=" LO B w 3\n SC B w 9\n"))
    for limits in (
        ReadLimits(),
        ReadLimits(compared_bytes=0),
    ):  # found by the quick look too
        parts = read_model(path, limits=limits).beyond_linear
        assert any("quadratic" in part for part in parts)
        assert any("semi-continuous" in part for part in parts)


def test_messages_hold_no_local_path(tmp_path: Path) -> None:
    path = tmp_path / "m.lp"
    path.write_text("hello")
    with pytest.raises(ModelError) as caught:
        read_model(path)
    assert str(tmp_path) not in str(caught.value)

"""Files of models: format, decompression and limits."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from solvers.errors import ModelError
from solvers.exact import ExactLimits, read_exact
from solvers.read import ReadLimits, format_of, read_model
from tests.solvers.texts import lp, mps


def bomb(path: Path, megabytes: int) -> Path:
    with gzip.open(path, "wb") as out:
        out.write(b"NAME\nROWS\n N o\nCOLUMNS\n")
        for _ in range(megabytes):
            out.write(b" " * 1023 + b"\n" + b"* " * 523_776)
    return path


def test_gzip_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    path = bomb(tmp_path / "b.mps.gz", 20)
    assert path.stat().st_size < 200_000
    with pytest.raises(ModelError, match="1,000,000 bytes"):
        read_model(path, limits=ReadLimits(max_bytes=1_000_000), workdir=tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["b.mps.gz"]
    with pytest.raises(ModelError, match="bytes"):
        read_exact(
            path, limits=ExactLimits(max_bytes=1_500_000, max_line_chars=10_000_000)
        )


def test_format_of(tmp_path: Path) -> None:
    path = tmp_path / "content"
    for text, expected in (
        (mps(), "mps"),
        (lp(), "lp"),
        ("* c\n\n" + mps(), "mps"),
        ("\\ c\nmax: x\n", "lp"),
    ):
        path.write_text(text)
        assert format_of(path) == expected
    path.write_text("hello")
    assert format_of(path, name="a.MPS.gz") == "mps"
    with pytest.raises(ModelError, match="cannot tell the format"):
        format_of(path)
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + lp().encode()))
    assert format_of(path) == "lp"


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (bz2.compress(b"NAME"), "a.mps.bz2", "got a bzip2 file; unpack it"),
        (lzma.compress(b"NAME"), "a.mps", "got an xz file; unpack it"),
        (b"PK\x03\x04", "a.lp", "got a zip archive; unpack it and send one model"),
        ("Minimize".encode("utf-16"), "a.lp", "got text in UTF-16; save it as UTF-8"),
        (b"", "a", "got an empty file"),
        (
            mps().encode(),
            "a.lp",
            "expected LP format, as the name says, got text that begins",
        ),
        (
            gzip.compress(lp().encode()),
            "a.mps.gz",
            "expected MPS format, as the name says",
        ),
    ],
)
def test_files_that_are_no_model(
    tmp_path: Path, content: bytes, name: str, expected: str
) -> None:
    path = tmp_path / "content"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=expected):
        format_of(path, name=name)
    with pytest.raises(ModelError, match=expected):
        read_model(path, name=name)

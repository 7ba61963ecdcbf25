"""Files of models: format, decompression and limits."""

from __future__ import annotations

import gzip
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

"""Reading with HiGHS: nothing is dropped in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvers.errors import ModelError
from solvers.exact import read_exact
from solvers.highs_reader import beyond_highs, model_of, read_with_highs
from solvers.model_file import ReadLimits
from tests.solvers.texts import COLUMNS, mps


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "m.mps"
    path.write_text(text)
    return path


def test_a_plain_file_is_read_whole(tmp_path: Path) -> None:
    engine, complete = read_with_highs(written(tmp_path, mps()))
    assert complete
    model = model_of(engine, "m", ReadLimits())
    assert (model.n, model.m) == (4, 3)
    with pytest.raises(ModelError, match="m: expected at most 3 columns, got 4"):
        model_of(engine, "m", ReadLimits(max_columns=3))


def test_dropped_coefficients_make_a_reading_incomplete(tmp_path: Path) -> None:
    text = mps(columns=COLUMNS.replace(" x r2 1", " x r2 1e-13"))
    path = written(tmp_path, text)
    assert not read_with_highs(path)[1]
    assert beyond_highs(read_exact(path))
    assert not beyond_highs(read_exact(written(tmp_path, mps())))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"NAME\0", "got NUL bytes"), (b"NAME \xff\n", "got other bytes")],
)
def test_binary_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "m.mps"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_with_highs(path)


def test_a_refusal_holds_the_reason_but_no_path(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="HiGHS") as caught:
        read_with_highs(written(tmp_path, mps(bounds=" XX B x 1\n")))
    assert str(tmp_path) not in str(caught.value)

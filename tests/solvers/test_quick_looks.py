"""Quick looks: no construct that they exist for is missed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from solvers.quick_looks import may_be_misread, may_be_special, was_misread
from tests.solvers.models import milp
from tests.solvers.texts import COLUMNS, lp, mps


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "m"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("mps", mps(after="QUADOBJ\n x x 2\n")),
        ("mps", mps(after="SOS\n S1 s\n x 1\n")),
        ("mps", mps(bounds=" SC B w 9\n")),
        ("mps", mps(bounds=" UP B y 1\n SI B w 9\n")),
        ("lp", "min\n x + [ x^2 ] / 2\nst\n r: x >= 1\nend\n"),
        ("lp", "min\n x\nst\n r: z = 1 -> x >= 1\nend\n"),
        ("lp", "min\n x\nst\n r: x >= 1\n semi-continuous\n x\nend\n"),
    ],
)
def test_special_parts_are_seen(tmp_path: Path, kind: str, text: str) -> None:
    assert may_be_special(written(tmp_path, text), kind)


def test_plain_files_raise_no_alarm(tmp_path: Path) -> None:
    assert not may_be_special(written(tmp_path, mps()), "mps")
    assert not may_be_special(written(tmp_path, lp()), "lp")
    assert not may_be_misread(written(tmp_path, mps()))


@pytest.mark.parametrize(
    "text",
    [
        mps(before="OBJSENSE MAXIMIZE\n"),
        mps(rows=" N obj2\n"),
        mps(bounds=" UP B x -3\n"),
        mps(columns=COLUMNS.replace(" x r2 1", " x r2 1 $ c")),
        mps(before="*SENSE:Maximize\n"),
        mps().replace("COLUMNS", "columns"),
    ],
)
def test_what_highs_misreads_is_seen(tmp_path: Path, text: str) -> None:
    assert may_be_misread(written(tmp_path, text))


def test_a_model_shows_that_it_was_misread(tmp_path: Path) -> None:
    path = written(
        tmp_path, "min\n x\nst\n r: x >= 0\nbounds\n x <= 3\nbinary\n x\nend\n"
    )
    plain = replace(milp([1], [([1], 0, 9)]), col_names=("x",))
    assert not was_misread(path, "lp", plain)
    assert was_misread(path, "lp", replace(plain, col_upper=[3.0])), (
        "Binary cuts to [0, 1]"
    )
    assert not was_misread(path, "mps", replace(plain, col_upper=[3.0]))
    assert was_misread(path, "mps", replace(plain, col_upper=[-1.0]))
    assert was_misread(path, "mps", replace(plain, col_names=("COL A",)))

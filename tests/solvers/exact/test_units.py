"""Units of rows and columns, and rows without tolerance."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from solvers.exact import ExactModel, read_exact
from solvers.exact.units import is_whole, units_of


def lp(tmp_path: Path, rows: str, rest: str = "") -> ExactModel:
    path = tmp_path / "m.lp"
    path.write_text(f"min\n x\nst\n{rows}{rest}end\n")
    return read_exact(path)


@pytest.mark.parametrize(
    ("number", "whole"),
    [
        (Fraction(3), True),
        (Fraction(1, 10**9), True),
        (Fraction(123456789, 10**22), True),
        (Fraction(1234567890123, 10**12), False),
        (Fraction(1, 3), False),
    ],
)
def test_short_decimals_are_whole(number: Fraction, whole: bool) -> None:
    assert is_whole(number) is whole


def test_rows_of_integers_with_short_decimals_have_no_tolerance(tmp_path: Path) -> None:
    rows = " a: 0.5 x + y <= 3\n b: x + z <= 3\n c: x + y <= 0.33333333333333\n"
    units = units_of(lp(tmp_path, rows, "general\n x y\n"))
    assert list(units.whole) == [1, 0, 0]


def test_small_and_large_rows_have_units_of_their_size(tmp_path: Path) -> None:
    units = units_of(lp(tmp_path, " a: 1e-6 x <= 1\n b: x <= 1\n c: 1e12 x <= 1\n"))
    assert units.rows.keys() == {0, 2}
    assert float(units.rows[0]) == pytest.approx(1e-6)
    assert float(units.rows[2]) == pytest.approx(1e3)


def test_a_column_with_tiny_bounds_has_their_size(tmp_path: Path) -> None:
    units = units_of(lp(tmp_path, " a: 1e6 x <= 1e-3\n", "bounds\n x <= 1e-9\n"))
    assert {column: float(size) for column, size in units.columns.items()} == {
        0: pytest.approx(1e-9)
    }

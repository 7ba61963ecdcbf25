"""Conversion of exact models to doubles."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from solvers.exact import read_exact
from solvers.from_exact import from_exact
from solvers.types import MilpModel


def converted(tmp_path: Path, text: str) -> MilpModel:
    path = tmp_path / "m.lp"
    path.write_text(text)
    return from_exact(read_exact(path))


def test_a_model_that_maximises_is_negated(tmp_path: Path) -> None:
    model = converted(tmp_path, "max\n 2 x + 0.1 y + 3\nst\n r: x + y <= 4\nend\n")
    assert model.maximize
    assert model.c.tolist() == [-2.0, -0.1]
    assert model.offset == -3.0
    assert model.in_user_sense(model.objective(np.array([1.0, 0.0]))) == 5.0


def test_special_rows_leave_the_matrix(tmp_path: Path) -> None:
    text = (
        "min\n x\nst\n a: x + y >= 1\n b: x + [ y^2 ] <= 4\n c: z = 1 -> x - y <= 2\n"
        " d: y <= 3\nbinary\n z\nend\n"
    )
    model = converted(tmp_path, text)
    assert model.row_names == ("a", "d")
    assert model.matrix.toarray().tolist() == [[1, 1, 0], [0, 1, 0]]
    assert model.extras is not None
    quadratic, indicator = model.extras.rows
    assert (quadratic.name, quadratic.binary) == ("b", None)
    assert quadratic.violation(np.array([0.0, 3.0, 0.0])) == (9 - 4) / 4
    assert (indicator.binary, indicator.active_at) == (2, 1)
    assert indicator.violation(np.array([5.0, 0.0, 0.0])) == 0.0
    assert indicator.violation(np.array([5.0, 0.0, 1.0])) == (5 - 2) / 2


def test_a_semicontinuous_column_may_be_0_in_the_model(tmp_path: Path) -> None:
    text = (
        "min\n x\nst\n r: x + y >= 0\nbounds\n 2 <= x <= 5\n y <= 7\n"
        "semi-continuous\n x y\nend\n"
    )
    model = converted(tmp_path, text)
    assert (model.col_lower[0], model.col_upper[0]) == (0.0, 5.0)
    assert model.extras is not None
    assert [(part.column, part.lower) for part in model.extras.semi] == [(0, 2.0)], (
        "0 is within the bounds of y anyway"
    )


def test_numbers_beyond_doubles_become_infinite_sides(tmp_path: Path) -> None:
    model = converted(
        tmp_path,
        "min\n x\nst\n r: x >= -1e30\n s: x <= 1e400\nend\n".replace("1e400", "1e308"),
    )
    assert model.row_lower[0] == -np.inf
    assert model.m == 2

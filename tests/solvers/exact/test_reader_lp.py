"""CPLEX LP in exact rationals: our file to the last digit."""

from __future__ import annotations

from fractions import Fraction as F
from pathlib import Path

from solvers.exact import ExactModel, read_exact
from tests.solvers.exact.programs import as_program

DATA = Path(__file__).parent / "data"


def bounds_of(model: ExactModel) -> dict[str, tuple[F | None, F | None, bool]]:
    whole = (bool(each) for each in model.integer)
    return dict(
        zip(
            model.col_names,
            zip(model.lower, model.upper, whole, strict=True),
            strict=True,
        )
    )


def rows_of(model: ExactModel) -> dict[str, tuple[F | None, dict[str, F], F | None]]:
    return {
        name: (
            low,
            {model.col_names[column]: value for column, value in terms.items()},
            high,
        )
        for name, (terms, low, high) in zip(
            model.row_names, as_program(model).rows, strict=True
        )
    }


def costs_of(model: ExactModel) -> dict[str, F]:
    return {model.col_names[column]: cost for column, cost in model.objective.items()}


def test_weird_lp() -> None:
    model = read_exact(DATA / "weird.lp")
    assert model.maximize
    assert model.offset == F(7, 2)
    assert costs_of(model) == {
        "x": 3,
        "y": F(21, 10),
        "z": -1,
        "e1": -1,
        "e": 2,
        "e2": 10,
    }
    assert bounds_of(model) == {
        "x": (0, 3, False),
        "y": (-1, 4, False),
        "z": (None, None, False),
        "e1": (3, 3, False),
        "e": (None, None, False),
        "e2": (0, 1, True),
        "w": (None, None, True),
        "v": (-5, 5, True),
    }
    thirty = F(30000000000000000004, 10**20)
    assert list(rows_of(model).values()) == [
        (None, {"x": 2, "y": 1}, 4),
        (-3, {"x": 1, "z": -1}, F(11, 2)),
        (-3, {"x": 1, "z": -1}, F(11, 2)),
        (None, {"y": 1}, 7),
        (-2, {"x": 1}, None),
        (-2, {"x": 1, "y": -2}, None),
        (thirty, {"x": 1, "y": 1}, thirty),
        (None, {"y": 1}, 1),
        (None, {"x": 1, "y": 1}, None),
        (None, {"x": 1, "z": 1}, 100),
    ]
    assert model.row_names[-2] == "free(row)#1"

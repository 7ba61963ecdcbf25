"""MPS in exact rationals: our files to the last digit."""

from __future__ import annotations

from fractions import Fraction
from fractions import Fraction as F
from pathlib import Path

from solvers.exact import ExactModel, read_exact
from tests.solvers.exact.programs import as_program

DATA = Path(__file__).parents[1] / "data"


def test_free_mps_to_the_last_digit() -> None:
    model = read_exact(DATA / "free.mps")
    assert (model.n, model.m, model.maximize) == (9, 5, True)
    assert model.offset == Fraction(29, 4)
    assert model.row_names == ("c1", "c2", "c3", "c4", "loose")
    assert model.row_lower == [
        Fraction("-10.5"),
        Fraction(-4),
        Fraction("-2.5"),
        Fraction(2),
        None,
    ]
    assert model.row_upper == [
        Fraction(20),
        Fraction(5),
        Fraction("1.5"),
        Fraction("4.5"),
        Fraction(0),
    ]
    assert [float("-inf") if low is None else float(low) for low in model.lower] == [
        0, 0, -3, float("-inf"), float("-inf"), 0, 0.125, 2, 0,
    ]  # fmt: skip
    assert [float("inf") if high is None else float(high) for high in model.upper] == [
        12, 1, 9, 4, float("inf"), 1, 0.125, float("inf"), 8,
    ]  # fmt: skip
    assert list(model.integer) == [0, 1, 1, 1, 0, 1, 0, 1, 1]
    assert Fraction(1, 100) in model.values  # 1E-2, exactly


def test_names_with_spaces_are_read_in_fixed_columns() -> None:
    model = read_exact(DATA / "fixed_spaces.mps")
    assert model.col_names == ("COL A", "COL B", "COL C")
    assert model.row_names == ("ROW ONE", "ROW TWO", "R3")
    assert model.row_lower[2] == 2
    assert model.row_upper[2] == 4


EXACT_DATA = Path(__file__).parent / "data"


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


def test_weird_mps() -> None:
    model = read_exact(EXACT_DATA / "weird.mps")
    assert model.maximize
    assert model.offset == F(-15, 2)
    assert costs_of(model) == {"a": 1, "i_binary": F(-1, 4)}
    assert bounds_of(model) == {
        "a": (0, None, False),
        "i_binary": (0, 1, True),
        "i_lower": (-2, None, True),
        "i_upper": (0, 9, True),
        "i_free": (None, None, True),
        "c_neg": (None, F(-3, 2), False),
        "c_free": (None, None, False),
        "c_fixed": (0, 0, False),
        "c_bv": (0, 1, True),
        "c_li": (2, None, True),
    }
    assert rows_of(model) == {
        "le": (None, {"a": 2, "i_binary": 3, "i_free": 1, "c_bv": 1, "c_li": 1}, 10),
        "ge": (-3, {"a": F(-10000000000000000001, 10**20), "c_neg": -1}, None),
        "eq": (F(1, 1000), {"a": 1}, F(1, 1000)),
        "eq_up": (5, {"c_neg": 100}, 7),
        "eq_down": (3, {"c_free": F(12345678901234567890, 10**5)}, 5),
        "le_range": (5, {"i_lower": F(1, 2)}, 8),
        "ge_range": (8, {"i_lower": 5}, 11),
        "free_row": (None, {}, None),
    }


def test_fixed_mps() -> None:
    model = read_exact(EXACT_DATA / "fixed.mps")
    assert costs_of(model) == {"x one": 1}
    assert bounds_of(model) == {"x one": (0, 4, False), "a b c": (None, None, False)}
    assert rows_of(model) == {
        "row one": (None, {"x one": 2, "a b c": -1}, 5),
        "2": (-10, {"x one": F(3, 2), "a b c": F(-1, 8)}, None),
    }

"""Comparison of the two readings of a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from solvers.compare import differences, refuse_differences, refuse_unruled_differences
from solvers.errors import ModelError
from solvers.exact import ExactModel, read_exact
from solvers.from_exact import from_exact
from solvers.types import MilpModel
from tests.solvers.texts import lp


@pytest.fixture
def readings(tmp_path: Path) -> tuple[ExactModel, MilpModel]:
    path = tmp_path / "m.lp"
    path.write_text(lp())
    exact = read_exact(path)
    return exact, from_exact(exact)


def test_equal_readings_have_no_differences(
    readings: tuple[ExactModel, MilpModel],
) -> None:
    assert differences(*readings) == []
    refuse_differences(*readings)


def moved(array: np.ndarray, by: float = 1.0) -> np.ndarray:
    other = array.copy()
    other[0] = other[0] + by if np.isfinite(other[0]) else 0.0
    return other


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("c", "cost of"),
        ("col_lower", "lower bound of"),
        ("col_upper", "upper bound of"),
        ("row_lower", "lower side of"),
        ("row_upper", "upper side of"),
        ("data", "coefficient of"),
    ],
)
def test_each_changed_number_is_named(
    readings: tuple[ExactModel, MilpModel], field: str, sentence: str
) -> None:
    exact, model = readings
    other = replace(model, **{field: moved(getattr(model, field))})  # type: ignore[arg-type]
    (difference,) = differences(exact, other)
    assert difference.startswith(sentence)
    assert "by HiGHS" in difference
    with pytest.raises(ModelError, match="two independent readers"):
        refuse_differences(exact, other)


def test_rounding_to_neighbouring_doubles_is_no_difference(
    readings: tuple[ExactModel, MilpModel],
) -> None:
    exact, model = readings
    assert differences(exact, replace(model, c=np.nextafter(model.c, np.inf))) == []


def test_sizes_sense_and_names_are_compared_first(
    readings: tuple[ExactModel, MilpModel],
) -> None:
    exact, model = readings
    flipped = replace(model, maximize=not model.maximize, c=moved(model.c))
    assert [text.partition(":")[0] for text in differences(exact, flipped)] == ["sense"]
    names = ("other", *(model.col_names or ())[1:])
    assert differences(exact, replace(model, col_names=names))[0].startswith(
        "name of variable 1"
    )


def test_a_rule_settles_a_difference(readings: tuple[ExactModel, MilpModel]) -> None:
    exact, model = readings
    other = replace(model, c=moved(model.c))
    refuse_unruled_differences(replace(exact, rules=("line 1: a rule",)), other)
    with pytest.raises(ModelError):
        refuse_unruled_differences(exact, other)

"""Models and parameters: checks, activities, read-only arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.solvers.models import milp


def test_model_arrays_are_read_only_views() -> None:
    c = np.array([1.0, 2.0])
    model = replace(milp([0, 0]), c=c)
    with pytest.raises(ValueError, match="read-only"):
        model.c[0] = 5
    c[0] = 3  # the caller's own array is the caller's


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("c", [np.nan, 0.0]),
        ("c", [1.0]),
        ("col_upper", [np.nan, 1.0]),
        ("data", [np.inf]),
        ("indices", [2]),
        ("indptr", [0, 5]),
        ("offset", np.inf),
        ("col_names", ("only one",)),
    ],
)
def test_model_rejects_invalid_arrays(field: str, value: object) -> None:
    model = milp([1, 1], [([1, 0], 0, 1)])
    wrong = np.array(value) if isinstance(value, list) else value
    with pytest.raises(ValueError, match="expected"):
        replace(model, **{field: wrong})  # type: ignore[arg-type]


def test_activity_against_dense() -> None:
    rng = np.random.default_rng(0)
    dense = rng.integers(-2, 3, (7, 5)).astype(float)
    model = milp([1] * 5, [(row.tolist(), -1, 1) for row in dense])
    x = rng.normal(size=5)
    assert np.allclose(model.activity(x), dense @ x)
    assert np.allclose(model.matrix @ x, dense @ x)

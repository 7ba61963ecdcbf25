"""The model, the float check, the scaling to integers and the table."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from solvers.feasibility import is_feasible, rows_always_satisfied, violation
from solvers.integer_model import integral, why_not_integral
from solvers.reporting import rounded
from solvers.table import SOLVERS, applicable, make_solver
from tests.solvers.models import INF, milp


def test_model_arrays_are_read_only_and_do_not_freeze_the_callers() -> None:
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
def test_model_rejects_nonsense(field: str, value: object) -> None:
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


def test_violation() -> None:
    model = milp(
        [1, 1], [([1, 1], 1, 2), ([100, 0], -INF, 50)], upper=[1, 3], integer=[True, False]
    )
    assert is_feasible(model, np.array([0.0, 1.5]))
    found = violation(model, np.array([1.0, 4.0]))
    assert found.rows == pytest.approx(1.5)  # (5 - 2) / 2
    assert found.worst_row == 0
    assert found.bounds == pytest.approx(1 / 3)
    assert not found.feasible
    assert violation(model, np.array([0.5, 1.0])).integrality == 0.5
    assert not is_feasible(model, np.array([np.nan, 1.0]))
    with pytest.raises(ValueError, match="shape"):
        violation(model, np.zeros(3))


def test_rows_always_satisfied() -> None:
    model = milp(
        [0, 0],
        [([1, 1], 1, INF), ([1, -1], -INF, 1), ([0, 1], 0, 5)],
        lower=[0, 0],
        upper=[1, INF],
    )
    low, high = np.array([1.0, 0.0]), np.array([1.0, INF])
    assert rows_always_satisfied(model, low, high).tolist() == [True, True, False]


def test_rounded() -> None:
    model = milp([1, 1], lower=[0, 0], upper=[1, 1], integer=[True, False])
    assert rounded(model, np.array([0.9999999, -1e-9])).tolist() == [1.0, 0.0]


def test_integral_scales_exactly() -> None:
    model = milp(
        [0.25, 1], [([0.1, 0.2], 0.3, 0.1 + 0.2), ([1, 1], -INF, 2.5)], upper=[3, 3]
    )
    assert why_not_integral(model) is None
    whole = integral(model)
    assert whole.data.tolist() == [1, 2, 1, 1]
    assert (whole.row_lower[0], whole.row_upper[0], whole.row_upper[1]) == (3, 3, 2)
    assert (whole.costs.tolist(), whole.cost_scale) == ([25, 100], 100)


def test_integral_divides_by_what_large_numbers_have_in_common() -> None:
    model = milp([3e10, 2e10], [([4e12, 6e12], -INF, 9e12)], upper=[3, 3])
    whole = integral(model)
    assert (whole.data.tolist(), whole.row_upper) == ([2, 3], [4])
    assert (whole.costs.tolist(), float(whole.cost_scale)) == ([3, 2], 1e-10)


def test_whole_sides_do_not_give_way() -> None:
    assert integral(milp([1], [([1], 75_999_993.5, INF)], upper=[1e8])).row_lower == [
        75_999_994
    ]
    assert integral(milp([1], [([1], 3e9 + 1, 3e9 + 1)], upper=[4e9])).row_lower == [
        3_000_000_001
    ]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (milp([1], integer=False), "continuous"),
        (milp([1], upper=[INF]), "bounds"),
        (milp([1], [([1 / 3], 0, 1)]), "decimal places"),
        (milp([np.pi]), "decimal places"),
        (milp([1, 1], [([1e12, 1], 0, 1)], upper=[1e9, 1]), "64 bits"),
        (milp([1e12, 1], upper=[1e9, 1]), "64 bits"),
        (milp([1], upper=[1e17]), "2^53"),
    ],
)
def test_integral_says_why_not(model: object, why: str) -> None:
    assert why in (why_not_integral(model) or "")  # type: ignore[arg-type]


def test_table() -> None:
    assert list(SOLVERS) == ["highs", "scip", "cp-sat"]
    for name in SOLVERS:
        assert make_solver(name).name == name
    found = applicable(milp([1], integer=False))
    assert found["highs"] is found["scip"] is None
    assert "continuous" in (found["cp-sat"] or "")
    with pytest.raises(
        ValueError, match="expected one of highs, scip, cp-sat, got 'gurobi'"
    ):
        make_solver("gurobi")


def test_the_table_imports_no_solver() -> None:
    program = "import sys, solvers.table; sys.exit(any(m in sys.modules for m in ('highspy', 'pyscipopt', 'ortools')))"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0

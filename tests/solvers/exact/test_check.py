"""The exact check: what it counts, what it rounds, and that it stands alone."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from solvers.exact import ExactModel, SolutionError, check, read_exact
from tests.solvers.models import set_cover
from tests.solvers.texts import lp, mps, write_mps
from tests.waiting import cpu_limit


def model_of(tmp_path: Path, text: str) -> ExactModel:
    path = tmp_path / "m"
    path.write_text(text)
    return read_exact(path)


MIXED = (
    "max\n 3 x + 0.1 y + 5\nst\n c1: x + y <= 4\n c2: 0.1 x + 0.2 y >= 0.3\n c3: x - y = 1\n"
    "bounds\n x <= 3\n y <= 2.5\ngeneral\n x\nend\n"
)


def test_a_feasible_point(tmp_path: Path) -> None:
    result = check(model_of(tmp_path, MIXED), {"x": 2, "y": 1.0})
    assert result.objective == Fraction(111, 10)  # not 11.100000000000001
    assert result.exactly_feasible
    assert result.feasible
    assert result.max_violation == 0
    assert result.worst_row is None
    assert result.worst_column is None
    assert (result.checked_rows, result.checked_columns, result.violated_rows) == (
        3,
        2,
        0,
    )
    assert result.detail == ""


def test_decimals_are_decimals(tmp_path: Path) -> None:
    # In doubles 0.1·1 + 0.2·1 is not 0.3; here it is.
    model = model_of(tmp_path, "min\n x\nst\n c: 0.1 x + 0.2 y = 0.3\nend\n")
    assert check(model, [1, 1]).exactly_feasible
    # A double near 1/3 is not 1/3, and the check says by how much.
    third = model_of(tmp_path, "min\n x\nst\n c: 3 x = 1\nend\n")
    result = check(third, [1 / 3])
    assert not result.exactly_feasible
    assert result.feasible
    assert result.max_row_violation == 1 - 3 * Fraction(1 / 3)
    assert 0 < result.max_row_violation < Fraction(1, 10**15)


def test_integers_are_rounded_and_the_distance_is_reported(tmp_path: Path) -> None:
    model = model_of(tmp_path, MIXED)
    result = check(model, [2.0000001, 1])
    assert result.objective == Fraction(111, 10)
    assert result.max_row_violation == 0
    assert 0 < result.max_integrality < Fraction(2, 10**7)
    assert result.feasible
    far = check(model, [2.25, 1])
    assert far.max_integrality == Fraction(1, 4)
    assert not far.feasible
    assert "fractional value" in far.detail


def test_violations_are_exact_and_named(tmp_path: Path) -> None:
    result = check(model_of(tmp_path, MIXED), [5, 3])
    assert not result.feasible
    assert result.max_row_violation == 4  # c1: 8 ≤ 4; c3: 2 = 1
    assert result.worst_row in ("c1", "c3")  # both are off by their own size
    assert result.violated_rows == 2
    assert result.max_bound_violation == 2
    assert result.worst_column == "x"
    assert "outside its bounds" in result.detail


def test_tolerance_is_relative_to_the_side(tmp_path: Path) -> None:
    model = model_of(tmp_path, "min\n x\nst\n big: x >= 1000000\n small: y >= 0.5\nend\n")
    assert check(model, [999_999.5, 0.5]).feasible
    assert not check(model, [999_998.5, 0.5]).feasible
    assert check(model, [1e6, 0.5 - 9e-7]).feasible
    assert not check(model, [1e6, 0.5 - 2e-6]).feasible


def test_absent_names_are_zero_and_unknown_ones_refused(tmp_path: Path) -> None:
    model = model_of(tmp_path, lp())
    assert check(model, {"y": 7}).objective == 18
    with pytest.raises(SolutionError, match="no variable 'q'"):
        check(model, {"q": 1})
    with pytest.raises(SolutionError, match="expected 3 numbers"):
        check(model, [1, 2])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_points_must_be_finite(tmp_path: Path, value: float) -> None:
    with pytest.raises(SolutionError, match="finite"):
        check(model_of(tmp_path, lp()), [value, 0, 0])


def test_semicontinuous_is_zero_or_within_bounds(tmp_path: Path) -> None:
    model = model_of(tmp_path, lp(after="Bounds\n 2 <= x <= 5\nSemi-continuous\n x\n"))
    assert check(model, [0, 7, 0]).feasible
    assert check(model, [2, 7, 0]).feasible
    assert not check(model, [1, 7, 0]).feasible


def test_a_quadratic_objective_is_counted_exactly(tmp_path: Path) -> None:
    linear, model = (
        model_of(tmp_path, mps()),
        model_of(tmp_path, mps(after="QUADOBJ\n x x 2\n")),
    )
    point = [Fraction(1, 2).__float__(), 0, 0, 0]
    # QUADOBJ gives the upper triangle of Q in x'Qx / 2: x x 2 adds x squared.
    assert check(model, point).objective - check(linear, point).objective == Fraction(
        1, 4
    )


def test_tiny_and_huge_doubles(tmp_path: Path) -> None:
    model = model_of(tmp_path, "min\n x + y\nst\n c: x + y >= 0\nend\n")
    result = check(model, [5e-324, 1.7e308])
    assert result.objective == Fraction(5e-324) + Fraction(1.7e308)
    assert result.exactly_feasible


def test_a_million_coefficients_in_seconds(tmp_path: Path) -> None:
    # 200,000: a fifth, for the machine's sake.
    cover = set_cover(500, 10_000, density=0.04)
    with cpu_limit(20):
        model = model_of(tmp_path, write_mps(cover))
        result = check(model, [1] * cover.n)
    assert result.exactly_feasible
    assert result.objective == int(cover.c.sum())


def test_the_check_imports_no_reader_or_search() -> None:
    program = (
        "import sys, solvers.exact\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('numpy', "
        "'highspy', 'pyscipopt', 'ortools', 'search', 'scipy')"
        " or m in ('solvers.read', 'solvers.types', 'solvers.feasibility', 'solvers.highs')]\n"
        "sys.exit(', '.join(bad) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr

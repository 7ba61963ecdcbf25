"""Rows of whole numbers hold exactly or not at all (cases whole-numbers-*)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solvers.exact import check, read_exact
from solvers.feasibility import is_feasible
from solvers.read import read_model
from solvers.scaling import scale
from solvers.solution_file import read_solution
from tests.cases.ilp.solving import INPUTS, solve
from trimtab.results import Reason, VerificationStatus
from trimtab.specs.ilp import Engine

CAP = INPUTS / "whole-numbers-cap.lp"
EQUALITY = INPUTS / "whole-numbers-equality.lp"
START = INPUTS / "whole-numbers-equality.sol"


@pytest.mark.parametrize("engine", list(Engine))
def test_cap(engine: Engine, tmp_path: Path) -> None:
    result = solve(CAP, tmp_path, engine=engine)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.objective == 75_999_994
    assert result.verification.checks["exactly_feasible"]


def test_a_start_that_breaks_the_row_is_dropped_with_the_reason(tmp_path: Path) -> None:
    result = solve(EQUALITY, tmp_path, start=START, seconds=4)
    report: Any = result.summary["warm_start"]
    assert report["outcome"] in ("dropped", "repaired")
    assert "149381329" in report["detail"]
    if result.objective is not None:
        assert result.verification.checks["exactly_feasible"]


def test_the_float_check_and_the_exact_check_agree() -> None:
    model, exact = read_model(EQUALITY), read_exact(EQUALITY)
    x = read_solution(START, model)
    assert not is_feasible(model, x)
    assert not is_feasible(scale(model).model, x)
    assert not check(exact, x.tolist()).feasible


@pytest.mark.parametrize(
    ("coefficient", "side"),
    [
        ("1", "100000000"),
        ("0.1", "10000000.1"),
        ("2e-7", "20.0000002"),
        ("1000", "100000001000"),
    ],
)
def test_one_unit_of_any_size_counts(coefficient: str, side: str, tmp_path: Path) -> None:
    """x + y = side in units of the coefficient: a point that misses by one unit is none."""
    file = tmp_path / "model.lp"
    file.write_text(
        f"Minimize\n o: x\nSubject To\n c: {coefficient} x + {coefficient} y = {side}\n"
        "Bounds\n x <= 1e9\n y <= 1e9\nGeneral\n x y\nEnd\n"
    )
    model, exact = read_model(file), read_exact(file)
    whole = round(float(side) / float(coefficient))
    for missing, holds in ((0, True), (1, False), (-1, False)):
        x = [float(whole - missing - 1), 1.0]
        assert check(exact, x).feasible is holds
        assert is_feasible(model, np.array(x)) is holds
        assert is_feasible(scale(model).model, np.array(x)) is holds


def test_a_row_with_a_continuous_variable_keeps_the_tolerance(tmp_path: Path) -> None:
    file = tmp_path / "model.lp"
    file.write_text(
        "Minimize\n o: x\nSubject To\n c: x + y = 3\nBounds\n x <= 9\nGeneral\n x\nEnd\n"
    )
    assert check(read_exact(file), [2.0, 1.0000000001]).feasible
    assert is_feasible(read_model(file), np.array([2.0, 1.0000000001]))


def test_measured_data_keep_the_tolerance(tmp_path: Path) -> None:
    """Thirds written with fifteen digits: the sum is 1 but for rounding."""
    file = tmp_path / "model.lp"
    third = "0.333333333333333"
    file.write_text(
        f"Minimize\n o: x\nSubject To\n c: {third} x + {third} y + {third} z = 1\n"
        "Binary\n x y z\nEnd\n"
    )
    result = solve(file, tmp_path)
    assert result.objective == 1
    assert result.verification.status is VerificationStatus.VALID


@pytest.mark.parametrize("engine", list(Engine))
def test_a_large_equation_without_a_solution(engine: Engine, tmp_path: Path) -> None:
    """Even coefficients, an odd side: a relative tolerance would ignore the difference of one."""
    terms = " + ".join(f"{2 * (40_000_001 + 7 * j)} x{j}" for j in range(6))
    names = " ".join(f"x{j}" for j in range(6))
    row = f"c: {terms} = 240000301"
    model = f"Minimize\n o: x0\nSubject To\n {row}\nBinary\n {names}\nEnd\n"
    result = solve(model, tmp_path, engine=engine)
    assert result.termination.reason is Reason.INFEASIBLE

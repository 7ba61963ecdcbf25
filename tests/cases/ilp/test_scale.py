"""Objectives, rows, columns and coefficients far from 1 (cases tiny-objective to small-row)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.ilp.solving import INPUTS, solve
from trimtab.results import Reason, RunResult, VerificationStatus
from trimtab.specs.ilp import Engine

LINEAR = [Engine.HIGHS, Engine.SCIP]


def is_optimal(result: RunResult, value: float) -> None:
    assert result.termination.reason is Reason.OPTIMAL, result.termination
    assert result.objective == pytest.approx(value, rel=1e-6)
    assert result.bound == pytest.approx(value, rel=2e-6)
    assert result.gap is not None
    assert result.gap <= 1e-6
    assert result.verification.status is VerificationStatus.VALID


@pytest.mark.parametrize("engine", list(Engine))
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tiny-objective", 1.71e-8),
        ("small-objective", 1.286e-4),
        ("large-objective", 1.142858e16),
    ],
)
def test_objectives_of_any_size(
    name: str, value: float, engine: Engine, tmp_path: Path
) -> None:
    is_optimal(solve(INPUTS / f"{name}.lp", tmp_path, engine=engine), value)


@pytest.mark.parametrize("engine", LINEAR)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("small-coefficients-infeasible", 1e9 + 0.5),
        ("small-row", 4.0),
        ("small-coefficients-unbinding", 1e9),
    ],
)
def test_coefficients_that_engines_drop(
    name: str, value: float, engine: Engine, tmp_path: Path
) -> None:
    is_optimal(solve(INPUTS / f"{name}.lp", tmp_path, engine=engine), value)


def test_a_warm_start_does_not_change_the_proof(tmp_path: Path) -> None:
    is_optimal(
        solve(
            INPUTS / "tiny-objective.lp", tmp_path, start=INPUTS / "tiny-objective.sol"
        ),
        1.71e-8,
    )


KNAPSACK = """Maximize
 obj: {0}
Subject To
 c1: 5 a + 4 b + 4 c + 2 d + 3 f <= 9
 c2: 3 a + 5 b + 4 c + 3 d + 2 f <= 10
Binary
 a b c d f
End
"""


@pytest.mark.parametrize("power", [-15, -12, -10, -7, -3, 0, 6, 12, 15])
def test_a_knapsack_in_every_unit(power: int, tmp_path: Path) -> None:
    profits = " + ".join(
        f"{p}e{power} {x}" for p, x in zip((90, 81, 72, 33, 46), "abcdf", strict=True)
    )
    is_optimal(solve(KNAPSACK.format(profits), tmp_path), 171 * 10.0**power)


@pytest.mark.parametrize("power", [-14, -11, -9, -6, 3, 9, 13])
def test_a_row_in_every_unit(power: int, tmp_path: Path) -> None:
    row = f"3e{power} x + 5e{power} y >= 20e{power}"
    model = f"Minimize\n o: x + y\nSubject To\n c: {row}\nGeneral\n x y\nEnd\n"
    is_optimal(solve(model, tmp_path), 4)


@pytest.mark.parametrize("power", [-12, -9, -6, 6, 9])
def test_a_continuous_variable_in_every_unit(power: int, tmp_path: Path) -> None:
    """Charges of a capacitor beside a switch: q <= 3e-9 s, q + r >= 4e-9."""
    model = (
        f"Minimize\n o: 2 q + 7 r + 1e{power} s\nSubject To\n"
        f" link: q - 3e{power} s <= 0\n need: q + r >= 4e{power}\n"
        "Binary\n s\nEnd\n"
    )
    is_optimal(solve(model, tmp_path), (2 * 3 + 7 * 1 + 1) * 10.0**power)


def test_costs_that_are_far_apart(tmp_path: Path) -> None:
    """The dear column stays 0, so the cheap ones decide alone."""
    model = (
        "Minimize\n o: 1e12 x + 3e-6 y + 2e-6 z\nSubject To\n"
        " c: x + y + z >= 1\n d: 2 y + z >= 2\nBinary\n x y z\nEnd\n"
    )
    is_optimal(solve(model, tmp_path), 3e-6)


def test_an_infeasible_row_of_small_numbers(tmp_path: Path) -> None:
    model = "Minimize\n o: x\nSubject To\n c: 2e-10 x >= 5e-10\nBounds\n x <= 2\nGeneral\n x\nEnd\n"
    result = solve(model, tmp_path)
    assert result.termination.reason is Reason.INFEASIBLE
    assert "rational" in result.termination.detail

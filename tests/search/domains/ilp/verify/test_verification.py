"""Verification of a solution: what it claims, and what holds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from search.domains.ilp.verify.verification import as_float, verify
from solvers.exact import ExactModel, read_exact
from trimtab.results import VerificationStatus

TEXT = """Maximize
 o: 3 x + 2 y
Subject To
 a: x + y <= 4
Bounds
 y <= 3
General
 x
End
"""


@pytest.fixture
def model(tmp_path: Path) -> ExactModel:
    path = tmp_path / "m.lp"
    path.write_text(TEXT)
    return read_exact(path, format="lp")


@pytest.mark.parametrize(
    ("values", "claimed", "status", "detail"),
    [
        ({"x": 4.0}, 12.0, "valid", "holds exactly"),
        ({"x": 4.0}, None, "valid", "holds exactly"),
        ({"x": 4.0}, 13.0, "invalid", "the objective is 12, but 13 was claimed"),
        ({"x": 3.0, "y": 1.0000001}, 11.0000002, "valid", "within 1e-6"),
        ({"x": 4.0, "y": 1.0}, 14.0, "invalid", "infeasible: a is violated by 1"),
        ({"x": 1.5}, 4.5, "invalid", "infeasible"),
        ({"z": 1.0}, 0.0, "invalid", "z"),
    ],
)
def test_verdicts(
    model: ExactModel,
    values: dict[str, float],
    claimed: float | None,
    status: str,
    detail: str,
) -> None:
    verification = verify(model, values, claimed=claimed)
    assert verification.status is VerificationStatus(status)
    assert detail in verification.detail


def test_the_objective_is_a_fraction(model: ExactModel) -> None:
    verification = verify(model, {"y": 0.1}, claimed=0.2)
    assert verification.objective_exact == str(2 * Fraction(0.1))
    assert verification.checks["violated_rows"] == 0


def test_fractions_beyond_doubles_become_the_largest_double() -> None:
    assert as_float(Fraction(10) ** 400) == pytest.approx(1.797e308, rel=1e-3)
    assert as_float(-(Fraction(10) ** 400)) < -1e308
    assert as_float(Fraction(1, 3)) == 1 / 3

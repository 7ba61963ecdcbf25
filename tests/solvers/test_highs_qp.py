"""Convexity, and the tangent bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from solvers.extras import Extras, QuadraticForm, SemiColumn
from solvers.highs_qp import tangent, why_not_convex
from solvers.types import MilpModel
from tests.solvers.models import INF, milp


def quadratic(values: list[float], *, integer: bool = False) -> MilpModel:
    """x² · values[0] + x y · values[1] + y² · values[2]."""
    form = QuadraticForm(
        first=np.array([0, 0, 1], dtype=np.int32),
        second=np.array([0, 1, 1], dtype=np.int32),
        values=np.array(values),
    )
    model = milp([1, -2], lower=[-INF, -INF], upper=[INF, INF], integer=integer)
    return replace(model, extras=Extras(objective=form))


def test_convex_forms_are_taken() -> None:
    assert why_not_convex(quadratic([1.0, 0.5, 1.0])) is None
    assert why_not_convex(quadratic([1.0, 2.0, 1.0])) is None, (
        "a zero eigenvalue is convex"
    )


def test_others_have_a_reason() -> None:
    assert "not convex" in (why_not_convex(quadratic([1.0, 3.0, 1.0])) or "")
    assert "integer variables" in (
        why_not_convex(quadratic([1.0, 0.0, 1.0], integer=True)) or ""
    )
    semi = replace(
        milp([1], integer=False),
        extras=Extras(semi=(SemiColumn(column=0, lower=2.0, upper=3.0),)),
    )
    assert "semi-continuous" in (why_not_convex(semi) or "")


@pytest.mark.parametrize("seed", range(5))
def test_the_tangent_touches_and_lies_below(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = quadratic([1.0, 0.5, 2.0])
    at = rng.normal(size=2)
    line = tangent(model, at)
    assert line.extras is None
    assert line.objective(at) == pytest.approx(model.objective(at))
    for _ in range(20):
        x = rng.normal(size=2) * 5
        assert line.objective(x) <= model.objective(x) + 1e-9

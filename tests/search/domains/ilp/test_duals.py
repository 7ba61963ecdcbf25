"""Duals of an LP: right in both senses, and never of a point that is not optimal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search.domains.ilp.duals import NoDuals, duals_of, has_duals, write_duals
from solvers.highs import HighsSolver
from solvers.types import SolveParams
from tests.search.models import milp

# min 2 x + 3 y + 0.5 z with x + y + z >= 9, z <= 4: x = 5, z = 4
LP = milp(
    [2, 3, 0.5],
    [(9, [1, 1, 1], np.inf)],
    upper=[np.inf, np.inf, 4],
    integer=[False, False, False],
)
OPTIMUM = np.array([5.0, 0.0, 4.0])


def test_duals_price_the_optimum() -> None:
    duals = duals_of(LP, OPTIMUM)
    assert duals.rows.tolist() == [2]
    assert duals.columns.tolist() == [0, 1, -1.5]
    assert duals.objective == LP.objective(OPTIMUM) == 12


def test_a_maximiser_reads_them_in_its_own_sense(tmp_path: Path) -> None:
    path = tmp_path / "duals.json"
    write_duals(replace(LP, maximize=True), OPTIMUM, path)
    written = json.loads(path.read_text())
    assert written["objective"] == -12
    assert written["duals"] == {LP.row_name(0): -2}
    assert list(written["reduced_costs"].values()) == [-1, 1.5]


def test_a_point_that_is_not_optimal_has_none(tmp_path: Path) -> None:
    with pytest.raises(NoDuals, match="they prove 12, and the solution has 13"):
        duals_of(LP, np.array([4.0, 1.0, 4.0]))


def test_an_infeasible_model_has_none() -> None:
    crossed = replace(LP, col_upper=np.array([1.0, 1.0, 1.0]))
    with pytest.raises(NoDuals, match=r"."):
        duals_of(crossed, OPTIMUM)


def test_models_with_integers_are_left_out() -> None:
    assert has_duals(LP)
    assert not has_duals(replace(LP, integrality=np.array([True, False, False])))


def test_random_programs_have_no_duality_gap() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        n, m = 6, 4
        rows = rng.uniform(0.1, 1, (m, n))
        model = milp(
            rng.uniform(1, 2, n).tolist(),
            [(0.5, rows[i].tolist(), np.inf) for i in range(m)],
            integer=[False] * n,
        )
        solved = HighsSolver().solve(model, SolveParams())
        assert solved.x is not None
        duals = duals_of(model, solved.x)
        assert duals.objective == pytest.approx(model.objective(solved.x), rel=1e-6)

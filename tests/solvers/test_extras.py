"""Models beyond linear rows: our reading and SCIP's agree on an optimum that the check accepts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyscipopt import Model

from solvers.exact import check, read_exact
from solvers.extras import Extras, OrderedSet, SemiColumn
from solvers.read import read_model
from solvers.scip import ScipSolver
from solvers.table import make_solver
from solvers.types import SolveParams
from trimtab.results import Limit, Reason

_COLUMNS = """NAME t
ROWS
 N obj
 L c1
COLUMNS
 x1 obj -1 c1 1
 x2 obj -2 c1 1
 x3 obj -3 c1 1
RHS
 RHS c1 40
BOUNDS
 UP BND x1 40
 UP BND x2 30
 UP BND x3 20
"""
_CASES = {
    "sos1.mps": _COLUMNS + "SOS\n S1 SOS s1\n SOS x1 1\n SOS x2 2\n SOS x3 3\nENDATA\n",
    "sos2.mps": _COLUMNS + "SOS\n S2 SOS s1\n SOS x1 1\n SOS x2 2\n SOS x3 3\nENDATA\n",
    "quadobj.mps": _COLUMNS + "QUADOBJ\n x1 x1 2\n x1 x2 1\n x2 x2 3\n x3 x3 1\nENDATA\n",
    "semi.mps": _COLUMNS.replace(" UP BND x3 20", " SC BND x3 20\n LO BND x3 15").replace(
        "c1 40", "c1 14"
    )
    + "ENDATA\n",
    "sos2.lp": "Maximize\n o: x + 2 y + 3 z\nSubject To\n a: x + y + z <= 40\n"
    "Bounds\n x <= 40\n y <= 30\n z <= 20\n"
    "SOS\n s: S2:: x:1 y:2 z:3\nEnd\n",
    "quadratic.lp": (
        "Minimize\n o: x + [ 2 x ^ 2 + 2 x * y + 4 y ^ 2 ] / 2\nSubject To\n"
        " a: x + y >= 3\nGeneral\n x\nEnd\n"
    ),
    "row.lp": (
        "Maximize\n o: x + y\nSubject To\n a: [ x ^ 2 + y ^ 2 ] <= 25\n"
        " b: x - y <= 1\nBounds\n x <= 9\n y <= 9\nGeneral\n x\nEnd\n"
    ),
    "nonconvex.lp": (
        "Minimize\n o: [ 2 x * y ] / 2\nSubject To\n a: x + y <= 3\n"
        " b: x - y >= -2\nBounds\n -4 <= x <= 4\n -4 <= y <= 4\nEnd\n"
    ),
    "indicator.lp": (
        "Minimize\n o: 10 b + x\nSubject To\n i: b = 0 -> x >= 4\n"
        " j: b = 1 -> x >= 1\nBounds\n x <= 9\nBinary\n b\nEnd\n"
    ),
    "semi.lp": (
        "Minimize\n o: x + 3 y\nSubject To\n a: x + y >= 1\nBounds\n"
        " 2 <= x <= 5\n y <= 9\nSemi-continuous\n x\nEnd\n"
    ),
}


# Worked out by hand, or by calculus where the optimum is smooth.
_OPTIMA = {
    "sos1.mps": -60.0,  # x2 = 30 or x3 = 20 alone
    "sos2.mps": -100.0,  # x2 and x3 are neighbours
    # Q = [[2, 1, 0], [1, 3, 0], [0, 0, 1]]: x = Q⁻¹ (1, 2, 3) = (0.2, 0.6, 3), half of -(1, 2, 3)·x
    "quadobj.mps": -5.2,
    "semi.mps": -28.0,  # x3 at 15 does not fit any more: x2 = 14
    "sos2.lp": 100.0,
    "quadratic.lp": 10.0,  # x = 2, y = 1: 2 + (8 + 4 + 4) / 2
    "row.lp": 7.0,  # x = 4, y = 3
    "nonconvex.lp": -16.0,  # x = 4, y = -4
    "indicator.lp": 4.0,  # b = 0, x = 4
    "semi.lp": 2.0,  # x = 2
}
_SCIP_READS = (
    "sos2.mps",
    "quadobj.mps",
    "semi.mps",
    "sos2.lp",
    "nonconvex.lp",
    "indicator.lp",
    "semi.lp",
)


@pytest.mark.parametrize("name", list(_CASES))
def test_the_optimum_is_found_and_checked_exactly(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(_CASES[name])
    model = read_model(file)
    assert model.extras is not None
    assert model.extras.words
    result = ScipSolver().solve(model, SolveParams(time_limit_s=20.0, relative_gap=0.0))
    assert (
        result.termination.reason is Reason.OPTIMAL
        or result.termination.limit is Limit.TARGET_GAP
    )
    assert result.x is not None
    assert result.primal is not None
    assert model.extras.violation(result.x) <= 1e-6
    reference = model.in_user_sense(result.primal)
    assert reference == pytest.approx(_OPTIMA[name], abs=1e-3)
    exact = read_exact(file, format=name.rpartition(".")[2], name=name)  # type: ignore[arg-type]
    checked = check(exact, np.where(np.abs(result.x) < 1e-6, 0.0, result.x).tolist())
    assert checked.feasible, checked
    assert float(checked.objective) == pytest.approx(_OPTIMA[name], abs=1e-3)


@pytest.mark.parametrize("name", _SCIP_READS)
def test_scips_own_reader_agrees(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(_CASES[name])
    theirs = Model()
    theirs.hideOutput()
    theirs.readProblem(str(file))
    theirs.optimize()
    assert theirs.getObjVal() == pytest.approx(_OPTIMA[name], abs=1e-3)


@pytest.mark.parametrize("engine", ["highs", "cp-sat"])
def test_other_engines_name_the_reason(engine: str, tmp_path: Path) -> None:
    file = tmp_path / "sos1.mps"
    file.write_text(_CASES["sos1.mps"])
    reason = make_solver(engine).why_not(read_model(file))
    assert reason is not None
    assert "SOS" in reason


def test_sets_and_semi_columns_measure_violations() -> None:
    one = OrderedSet(
        name="s",
        kind=1,
        columns=np.array([0, 1, 2], dtype=np.int32),
        weights=np.arange(3.0),
    )
    assert one.violation(np.array([0.0, 5.0, 0.0])) == 0
    assert one.violation(np.array([1.0, 5.0, 0.0])) == 1
    two = OrderedSet(
        name="s",
        kind=2,
        columns=np.array([0, 1, 2], dtype=np.int32),
        weights=np.arange(3.0),
    )
    assert two.violation(np.array([1.0, 5.0, 0.0])) == 0
    assert two.violation(np.array([1.0, 0.0, 5.0])) == 1, "not neighbours"
    semi = SemiColumn(column=0, lower=2.0, upper=5.0)
    assert [semi.violation(np.array([x])) for x in (0.0, 2.0, 5.0)] == [0, 0, 0]
    assert semi.violation(np.array([1.5])) == pytest.approx(0.25)


def test_extras_survive_json(tmp_path: Path) -> None:
    file = tmp_path / "row.lp"
    file.write_text(_CASES["row.lp"])
    extras = read_model(file).extras
    assert extras is not None
    again = Extras.from_json(extras.as_json())
    assert again.words == extras.words
    x = np.array([4.0, 3.5])
    assert again.violation(x) == extras.violation(x) > 0

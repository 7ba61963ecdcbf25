"""PuLP, Pyomo and cvxpy through their doors: maximisation with a constant, ends, refusals."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from trimtab.doors.answer import Answer
from trimtab.doors.drafts import DraftAnswer
from trimtab.results import Limit, Reason


@pytest.fixture
def pulp() -> Any:
    module = pytest.importorskip("pulp")
    module.set_v4_migration_warnings(False)
    return module


def production(pulp: Any) -> tuple[Any, Any, Any]:
    problem = pulp.LpProblem("p", pulp.LpMaximize)
    x, y = pulp.LpVariable("x 1", 0, 3), pulp.LpVariable("y", 0)
    problem += 3 * x + 2 * y + 7
    problem += x + y <= 4, "c d"
    return problem, x, y


@pytest.mark.filterwarnings("ignore:Spaces are not permitted")
def test_pulp_lp(pulp: Any, capsys: pytest.CaptureFixture[str]) -> None:
    import trimtab.pulp

    problem, x, y = production(pulp)
    status = problem.solve(trimtab.pulp.Trimtab(timeLimit=60, threads=1))
    assert (status, problem.sol_status) == (pulp.LpStatusOptimal, pulp.LpSolutionOptimal)
    assert (x.varValue, y.varValue, pulp.value(problem.objective)) == (3, 1, 18)
    row = problem.get_constraint_by_name("c_d")
    assert (row.pi, row.slack, x.dj, y.dj) == (2, 0, 1, 0)
    assert "bound 18" in capsys.readouterr().out, "msg=True shows a log with the constant"


@pytest.mark.filterwarnings("ignore:Spaces are not permitted")
@pytest.mark.parametrize(
    ("reason", "limit", "expected"),
    [
        (Reason.FEASIBLE, Limit.TIME, (1, 2)),
        (Reason.FEASIBLE, Limit.TARGET_GAP, (1, 1)),
        (Reason.NO_SOLUTION_FOUND, Limit.TIME, (0, 0)),
        (Reason.INFEASIBLE, None, (-1, -1)),
        (Reason.UNBOUNDED, None, (-2, -2)),
        (Reason.NUMERICAL_ERROR, None, (-3, 0)),
    ],
)
def test_pulp_statuses(
    pulp: Any,
    monkeypatch: pytest.MonkeyPatch,
    reason: Reason,
    limit: Limit | None,
    expected: tuple[int, int],
) -> None:
    import trimtab.pulp

    values = [1.0, 1.0] if reason is Reason.FEASIBLE else None
    answer = Answer(reason=reason, limit=limit)
    result = DraftAnswer(answer=answer, values=values, duals=None, reduced_costs=None)
    monkeypatch.setattr(trimtab.pulp, "solve_draft", lambda *a, **k: result)
    problem, x, _ = production(pulp)
    status = problem.solve(pulp.getSolver("TRIMTAB", msg=False))
    assert (status, problem.sol_status) == expected
    assert x.varValue == (1.0 if values else None)
    assert x.dj is None, "no duals are invented"


def test_pulp_warns_of_an_unknown_option_and_keeps_duplicates_apart(pulp: Any) -> None:
    import trimtab.pulp

    problem = pulp.LpProblem("p")
    x, other = pulp.LpVariable("x", 1), pulp.LpVariable("x", 2)
    problem += x + 3 * other
    problem += x + other >= 6
    with pytest.warns(UserWarning, match="option 'presolve' is not supported"):
        problem.solve(trimtab.pulp.Trimtab(msg=False, presolve=True))
    assert (x.varValue, other.varValue) == (4, 2), "names are not keys"


def test_pulp_sos_and_integers_reach_the_draft(pulp: Any) -> None:
    from trimtab.pulp import _draft

    problem = pulp.LpProblem("p")
    x = pulp.LpVariable("x", None, 4, cat="Integer")
    y = pulp.LpVariable("y", 0, 4)
    problem += x + y
    problem += x + y >= 1
    problem.sos1["s"] = {x: 1, y: 2}
    x.setInitialValue(2)
    draft = _draft(problem, mip=True, start=True)
    assert [(c.lower, c.upper, c.integer) for c in draft.columns] == [
        (None, 4, True),
        (0, 4, False),
    ]
    assert draft.start == {0: 2}
    assert [(one.kind, one.columns) for one in draft.sets] == [(1, [0, 1])]
    assert not any(c.integer for c in _draft(problem, mip=False, start=False).columns)


def test_pyomo_lp_and_refusals(capsys: pytest.CaptureFixture[str]) -> None:
    pyo = pytest.importorskip("pyomo.environ")
    from pyomo.contrib.solver.common.util import IncompatibleModelError

    import trimtab.pyomo

    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 3), initialize=1)
    model.y = pyo.Var(within=pyo.NonNegativeReals)
    model.c = pyo.Constraint(expr=(1, model.x + model.y, 4))
    model.o = pyo.Objective(expr=3 * model.x + 2 * model.y + 7, sense=pyo.maximize)
    model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    model.rc = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    solver = trimtab.pyomo.Trimtab()
    results = solver.solve(model, time_limit=60, tee=True, warm_start=True, threads=1)
    assert results.solution_status.name == "optimal"
    assert (results.incumbent_objective, results.objective_bound) == (18, 18)
    assert (model.x(), model.y()) == (3, 1)
    assert model.dual[model.c] == 2
    assert {str(k): v for k, v in model.rc.items()} == {"x": 1, "y": 0}
    assert "incumbent" in capsys.readouterr().out
    assert results.extra_info.verification == "valid"
    model.wave = pyo.Constraint(expr=pyo.sin(model.x) <= 1)
    with pytest.raises(IncompatibleModelError, match="wave"):
        solver.solve(model)
    model.del_component(model.wave)
    with pytest.raises(IncompatibleModelError, match="where, callback, got 'presolve'"):
        solver.solve(model, solver_options={"presolve": 1})
    with pytest.raises(IncompatibleModelError, match="seed: expected an integer >= 0"):
        solver.solve(model, solver_options={"seed": -1})


def test_cvxpy_mip_and_duals() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cp = pytest.importorskip("cvxpy")
    from trimtab.cvxpy import Trimtab

    x = cp.Variable(2)
    rows = [x >= 0, x[0] + 2 * x[1] <= 4, x <= 3]
    problem = cp.Problem(cp.Maximize(3 * x[0] + 2 * x[1] + 1), rows)
    assert problem.solve(solver=Trimtab(), seconds=60) == pytest.approx(11)
    assert x.value.tolist() == [3, 0.5]
    assert rows[1].dual_value == pytest.approx(1)
    assert rows[2].dual_value.tolist() == [2, 0]
    with pytest.raises(cp.error.SolverError, match=r"expected options .* got 'speed'"):
        problem.solve(solver=Trimtab(), speed=1)
    square = cp.Problem(cp.Minimize(cp.sum_squares(x)), rows)
    with pytest.raises(cp.error.SolverError, match="TRIMTAB"):
        square.solve(solver=Trimtab())


def test_linopy_lp_then_infeasible() -> None:
    linopy = pytest.importorskip("linopy")
    from trimtab.linopy import Trimtab

    model = linopy.Model()
    x = model.add_variables(lower=0, upper=3, name="x")
    y = model.add_variables(lower=0, name="y")
    row = model.add_constraints(x + y <= 4, name="c")
    model.add_objective(3 * x + 2 * y, sense="max")
    solver = Trimtab(seconds=60, threads=1)
    assert model.solve(remote=solver) == ("ok", "optimal")
    assert (x.solution.item(), y.solution.item(), model.objective.value) == (3, 1, 11)
    assert row.dual.item() == 2
    assert solver.answer is not None
    assert solver.answer.bound == 11
    model.add_constraints(x >= 5, name="d")
    assert model.solve(remote=Trimtab(warm_start=True)) == ("warning", "infeasible")
    with pytest.raises(ValueError, match=r"time_limit: expected options in Trimtab"):
        model.solve(remote=Trimtab(), time_limit=5)

"""Constraints that the packages' own writers lose: carried over exactly, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import highspy
import pyscipopt
import pytest
from ortools.linear_solver import linear_solver_pb2, pywraplp
from ortools.linear_solver.python import model_builder
from ortools.math_opt.python import mathopt
from ortools.sat.python import cp_model

from tests.cases.ilp.objects import solve
from trimtab.adapters import NotCarriedOver
from trimtab.milp import write_model

Make = Callable[[], Any]


def scip() -> Any:
    model = pyscipopt.Model()
    model.hideOutput()
    return model


def xor(parity: bool = True, members: int = 2) -> Any:
    model = scip()
    xs = [model.addVar(f"x{i}", vtype="B") for i in range(members)]
    model.addConsXor(xs, parity, name="one_of")
    model.addCons(sum(xs) <= members, name="c")
    model.setObjective(sum(xs), "maximize")
    return model


def disjunction_or() -> Any:
    model = scip()
    a, b, r = (model.addVar(name, vtype="B") for name in "abr")
    model.addConsOr([a, b], r, name="or")
    model.addCons(a + b <= 2, name="c")
    model.setObjective(5 * r - 2 * a - 2 * b, "maximize")
    return model


def conjunction() -> Any:
    model = scip()
    a, b, r = (model.addVar(name, vtype="B") for name in "abr")
    model.addConsAnd([a, b], r, name="and")
    model.setObjective(5 * r - 2 * a - 2 * b, "maximize")
    return model


def indicator(value: bool = True) -> Any:
    model = scip()
    x, b = model.addVar("x", vtype="I", ub=10), model.addVar("b", vtype="B")
    model.addConsIndicator(x <= 3, b, activeone=value, name="limit")
    model.setObjective(x + (5 * b if value else -5 * b), "maximize")
    return model


def cardinality(most: int) -> Any:
    model = scip()
    xs = [model.addVar(f"x{i}", ub=4 + i) for i in range(4)]
    model.addConsCardinality(xs, most, name="few")
    model.setObjective(sum(xs), "maximize")
    return model


def neighbours() -> Any:
    model = scip()
    x, y, z = (model.addVar(name, ub=3) for name in "xyz")
    model.addConsSOS2([x, y, z], [1, 2, 3], name="s")
    model.setObjective(3 * x + y + 3 * z, "maximize")
    return model


def quadratic_row() -> Any:
    model = scip()
    x, y = model.addVar("x", vtype="I", ub=9), model.addVar("y", vtype="I", ub=9)
    model.addCons(x * x + 2 * x * y + y * y <= 30, name="square")
    model.setObjective(2 * x + y, "maximize")
    return model


def two_sided_and_offset() -> Any:
    model = scip()
    x = model.addVar("x", lb=None, vtype="I")
    model.addCons((x <= 7.7) >= 0.1, name="between")
    model.setObjective(x, "minimize")
    model.addObjoffset(0.25)
    return model


def logicor_and_knapsack() -> Any:
    model = scip()
    a, b, c = (model.addVar(name, vtype="B") for name in "abc")
    model.addConsLogicor([a, b], name="some")
    model.addConsKnapsack([a, b, c], [2, 3, 4], 6, name="sack")
    model.setObjective(2 * a + 3 * b + 4 * c, "maximize")
    return model


def builder_enforced() -> Any:
    model = model_builder.Model()
    x, b = model.new_int_var(0, 9, "x"), model.new_bool_var("b")
    model.add_enforced(x <= 3, b, True)
    model.maximize(x + 5 * b + 0.5)
    return model


def proto(kind: str) -> Any:
    made = linear_solver_pb2.MPModelProto(maximize=True)
    for name in "xyz":
        made.variable.add(
            lower_bound=0,
            upper_bound=1,
            is_integer=True,
            objective_coefficient=1.0,
            name=name,
        )
    part = made.general_constraint.add(name="special")
    if kind == "and":
        part.and_constraint.var_index.extend([0, 1])
        part.and_constraint.resultant_var_index = 2
        made.variable[0].objective_coefficient = -2
    elif kind == "sos":
        part.sos_constraint.var_index.extend([0, 1, 2])
        part.sos_constraint.weight.extend([1, 2, 3])
    elif kind == "quadratic":
        part.quadratic_constraint.qvar1_index.append(0)
        part.quadratic_constraint.qvar2_index.append(1)
        part.quadratic_constraint.qcoefficient.append(1.0)
        part.quadratic_constraint.lower_bound = float("-inf")
        part.quadratic_constraint.upper_bound = 0.5
    else:
        part.abs_constraint.var_index = 0
        part.abs_constraint.resultant_var_index = 1
    return made


def math_opt(kind: str) -> Any:
    model = mathopt.Model(name="m")
    x, y = (
        model.add_integer_variable(lb=0, ub=4, name="x"),
        model.add_integer_variable(lb=0, ub=4, name="y"),
    )
    b = model.add_binary_variable(name="b")
    model.add_linear_constraint(x + y <= 6, name="c")
    model.maximize(x + 2 * y + b)
    if kind == "indicator":
        model.add_indicator_constraint(indicator=b, implied_constraint=y <= 1, name="i")
        model.maximize(x + y + 3 * b)
    elif kind == "zero indicator":
        model.add_indicator_constraint(
            indicator=b, activate_on_zero=True, implied_constraint=y <= 1, name="i"
        )
    elif kind == "quadratic objective":
        model.maximize(x * y + 1)
    elif kind == "quadratic row":
        model.add_quadratic_constraint(x * x + y * y <= 10, name="q")
    else:
        model.add_auxiliary_objective(priority=1, name="second", expr=x)
    return model


def highs(kind: str) -> Any:
    engine = highspy.Highs()
    engine.setOptionValue("output_flag", False)
    x, y = engine.addIntegral(0, 10), engine.addVariable(3, 10)
    engine.addConstr(2 * x + 3 * y <= 12)
    engine.setMaximize()
    engine.setObjective(3 * x + 4 * y + 1)
    if kind == "semi-continuous":
        engine.changeColIntegrality(1, highspy.HighsVarType.kSemiContinuous)
    elif kind == "quadratic":
        engine.setMinimize()
        hessian = highspy.HighsHessian()
        hessian.dim_ = 2
        hessian.format_ = highspy.HessianFormat.kTriangular
        hessian.start_ = [0, 2, 3]
        hessian.index_ = [0, 1, 1]
        hessian.value_ = [2.0, -1.0, 2.0]
        engine.passHessian(hessian)
    elif kind == "two objectives":
        objective = highspy.HighsLinearObjective()
        objective.coefficients = [1.0, 0.0]
        engine.addLinearObjective(objective)
    elif kind == "lazy":
        engine.cbMipDefineLazyConstraints.subscribe(lambda event: None)
    return engine


def linear_solver() -> Any:
    solver = pywraplp.Solver.CreateSolver("SCIP")
    x, y = solver.IntVar(0, 10, ""), solver.IntVar(0, 10, "")
    solver.Add(2 * x + 3 * y <= 12)
    solver.Add(x - y >= -1)
    solver.Maximize(3 * x + 4 * y + 0.5)
    return solver


RIGHT: dict[str, tuple[Make, float]] = {
    "xor": (xor, 1),
    "xor of an even number": (lambda: xor(False, 3), 2),
    "xor of five": (lambda: xor(True, 5), 5),
    "or": (disjunction_or, 3),
    "and": (conjunction, 1),
    "indicator": (indicator, 10),
    "indicator awake at 0": (lambda: indicator(False), 5),
    "cardinality of one": (lambda: cardinality(1), 7),
    "cardinality of two": (lambda: cardinality(2), 13),
    "SOS2": (neighbours, 12),
    "quadratic row": (quadratic_row, 10),
    "row between two numbers, constant": (two_sided_and_offset, 1.25),
    "logicor and knapsack": (logicor_and_knapsack, 6),
    "ModelBuilder, enforced row": (builder_enforced, 9.5),
    "MPModelProto, and": (lambda: proto("and"), 1),
    "MPModelProto, SOS": (lambda: proto("sos"), 1),
    "MPModelProto, quadratic row": (lambda: proto("quadratic"), 2),
    "MathOpt, indicator": (lambda: math_opt("indicator"), 8),
    "MathOpt, indicator awake at 0": (lambda: math_opt("zero indicator"), 11),
    "MathOpt, quadratic objective": (lambda: math_opt("quadratic objective"), 10),
    "MathOpt, quadratic row": (lambda: math_opt("quadratic row"), 8),
    "pywraplp, no names": (linear_solver, 18.5),
    "highspy": (lambda: highs("linear"), 3 + 40 / 3 + 1),  # x = 1, y = 10/3
    "highspy, semi-continuous": (lambda: highs("semi-continuous"), 19),
    "highspy, quadratic": (lambda: highs("quadratic"), 22),
}


@pytest.mark.parametrize("what", RIGHT)
def test_carried_over(tmp_path: Path, what: str) -> None:
    make, right = RIGHT[what]
    solved = solve(make(), tmp_path)
    assert solved.reason == "optimal"
    assert solved.objective == pytest.approx(right, abs=1e-6)


def cubic() -> Any:
    model = scip()
    x, y = model.addVar("x", vtype="I", ub=10), model.addVar("y", vtype="I", ub=7)
    model.addCons(x * x * x <= 30, name="cube")
    model.setObjective(x + 2 * y, "maximize")
    return model


def disjunction() -> Any:
    model = scip()
    x = model.addVar("x", ub=10)
    model.addConsDisjunction([x <= 1, x >= 9], name="either")
    return model


def cumulative() -> Any:
    model = scip()
    x = model.addVar("x", vtype="I", ub=10)
    model.addConsCumulative([x], [2], [1], 1, name="machine")
    return model


def exponential() -> Any:
    model = scip()
    x = model.addVar("x", ub=10)
    model.addCons(pyscipopt.exp(x) <= 3, name="growth")
    return model


class Subtours(pyscipopt.Conshdlr):  # type: ignore[misc]
    def conscheck(self, constraints: Any, solution: Any, *flags: Any) -> dict[str, Any]:
        return {"result": pyscipopt.SCIP_RESULT.FEASIBLE}

    def conslock(
        self, constraint: Any, locktype: Any, nlockspos: int, nlocksneg: int
    ) -> None:
        return None


class Columns(pyscipopt.Pricer):  # type: ignore[misc]
    def pricerredcost(self) -> dict[str, Any]:
        return {"result": pyscipopt.SCIP_RESULT.SUCCESS}


def python_handler() -> Any:
    model = scip()
    model.addVar("x", vtype="B")
    model.includeConshdlr(Subtours(), "subtours", "eliminates subtours", needscons=False)
    return model


def pricer() -> Any:
    model = scip()
    model.addVar("x", vtype="B")
    model.includePricer(Columns(), "columns", "adds columns")
    return model


def cp(kind: str) -> Any:
    model = cp_model.CpModel()
    x, y = model.new_int_var(0, 5, "x"), model.new_int_var(0, 5, "y")
    if kind == "circuit":
        model.add_circuit(
            [(0, 1, model.new_bool_var("a")), (1, 0, model.new_bool_var("b"))]
        ).with_name("tour")
    elif kind == "cumulative":
        task = model.new_interval_var(x, 2, x + 2, "task")
        model.add_cumulative([task], [1], 1).with_name("machine")
    elif kind == "reservoir":
        model.add_reservoir_constraint([x, y], [1, -1], 0, 3).with_name("tank")
    else:
        model.add_automaton([x, y], 0, [1], [(0, 0, 1), (1, 1, 1)]).with_name("shifts")
    return model


REFUSED: dict[str, tuple[Make, str]] = {
    "a cubic constraint": (cubic, "nonlinear constraint 'cube'"),
    "an exponential": (exponential, "nonlinear constraint 'growth'"),
    "a disjunction": (disjunction, "disjunction constraint 'either'"),
    "a cumulative": (cumulative, "cumulative constraint 'machine'"),
    "a handler in Python": (
        python_handler,
        "constraint handler written in Python .Subtours.",
    ),
    "a pricer": (pricer, "a pricer"),
    "an absolute value": (lambda: proto("abs"), "abs constraint 'special'"),
    "an auxiliary objective": (
        lambda: math_opt("auxiliary objective"),
        "auxiliary objectives",
    ),
    "two objectives": (lambda: highs("two objectives"), "1 linear objectives"),
    "lazy constraints": (lambda: highs("lazy"), "lazy constraints"),
    "a circuit": (lambda: cp("circuit"), "circuit constraint 'tour'"),
    "cumulative intervals": (lambda: cp("cumulative"), "cumulative constraint 'machine'"),
    "a reservoir": (lambda: cp("reservoir"), "reservoir constraint 'tank'"),
    "an automaton": (lambda: cp("automaton"), "automaton constraint 'shifts'"),
    "an empty model": (scip, "an empty one"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_name(what: str) -> None:
    make, why = REFUSED[what]
    with pytest.raises(NotCarriedOver, match=why):
        write_model(make())


def test_a_plugin_of_another_model_does_not_count() -> None:
    other = python_handler()
    write_model(xor())
    assert other.getNVars() == 1

"""Values by the user's own variables and names, and warm starts from the object."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import highspy
import pyscipopt
import pytest
from ortools.linear_solver import pywraplp
from ortools.linear_solver.python import model_builder
from ortools.math_opt.python import mathopt
from ortools.sat.python import cp_model

from tests.cases.ilp.objects import solve
from trimtab.milp import carry_over

# x + 2 y ≤ 8, x ≤ 3, y ≤ 3, maximise 3 x + 5 y: x = 2, y = 3 with value 21
Pair = tuple[Any, Any, Any]
MakePair = Callable[[str, str], Pair]


def scip(first: str, second: str) -> Pair:
    model = pyscipopt.Model()
    model.hideOutput()
    x, y = model.addVar(first, vtype="I", ub=3), model.addVar(second, vtype="I", ub=3)
    model.addCons(x + 2 * y <= 8)
    model.setObjective(3 * x + 5 * y, "maximize")
    return model, x, y


def highs(first: str, second: str) -> Pair:
    engine = highspy.Highs()
    engine.setOptionValue("output_flag", False)
    x, y = (
        engine.addVariable(0, 3, type=highspy.HighsVarType.kInteger, name=name)
        for name in (first, second)
    )
    engine.addConstr(x + 2 * y <= 8)
    engine.setObjective(3 * x + 5 * y, highspy.ObjSense.kMaximize)
    return engine, x, y


def linear_solver(first: str, second: str) -> Pair:
    solver = pywraplp.Solver.CreateSolver("SCIP")
    x, y = solver.IntVar(0, 3, first), solver.IntVar(0, 3, second)
    solver.Add(x + 2 * y <= 8)
    solver.Maximize(3 * x + 5 * y)
    return solver, x, y


def builder(first: str, second: str) -> Pair:
    model = model_builder.Model()
    x, y = model.new_int_var(0, 3, first), model.new_int_var(0, 3, second)
    model.add(x + 2 * y <= 8)
    model.maximize(3 * x + 5 * y)
    return model, x, y


def math_opt(first: str, second: str) -> Pair:
    model = mathopt.Model()
    x, y = (model.add_integer_variable(lb=0, ub=3, name=name) for name in (first, second))
    model.add_linear_constraint(x + 2 * y <= 8)
    model.maximize(3 * x + 5 * y)
    return model, x, y


def cp_sat(first: str, second: str) -> Pair:
    model = cp_model.CpModel()
    x, y = model.new_int_var(0, 3, first), model.new_int_var(0, 3, second)
    model.add(x + 2 * y <= 8)
    model.maximize(3 * x + 5 * y)
    return model, x, y


PACKAGES = {
    "pyscipopt": scip,
    "highspy": highs,
    "pywraplp": linear_solver,
    "ModelBuilder": builder,
    "MathOpt": math_opt,
    "CP-SAT": cp_sat,
}
NAMES = {
    "plain": ("x", "y"),
    "with spaces": ("x(0, 1)", "x(0, 2)"),
    "brackets": ("x[1,2]", "x[1,3]"),
    "umlauts": ("größe", "μ"),
    "sections": ("RHS", "BOUNDS"),
    "section words": ("end_1", "max_load"),
    "signs": ("a+b", "3x"),
    "a comment": ("$x", "*y"),
    "like generated ones": ("v1", "v0"),
    "alike when cleaned": ("a b", "a_b"),
    "colons": ("x:1", "y:2"),
    "long": ("n" * 300, "n" * 301),
    "line ends": ("a\nb", "c\td"),
    "like infinity": ("inf", "1e5"),
}
UNIQUE_ONLY = {"MathOpt"}


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("what", NAMES)
def test_values_of_the_users_variables(tmp_path: Path, package: str, what: str) -> None:
    first, second = NAMES[what]
    if package == "highspy" and any(letter.isspace() for letter in first + second):
        pytest.skip("HiGHS takes no names with spaces")
    model, x, y = PACKAGES[package](first, second)
    solved = solve(model, tmp_path)
    assert solved.objective == 21
    assert (solved.values.value(x), solved.values.value(y)) == (2, 3)
    assert (solved.values.value(first), solved.values.value(second)) == (2, 3)
    assert solved.values.as_dict() == {first: 2, second: 3}


@pytest.mark.parametrize(
    "package", [name for name in PACKAGES if name not in UNIQUE_ONLY]
)
@pytest.mark.parametrize("name", ["", "same"])
def test_names_that_are_empty_or_come_twice(
    tmp_path: Path, package: str, name: str
) -> None:
    if package == "highspy" and name:
        pytest.skip("HiGHS takes a name once")
    if package == "pywraplp" and name:
        pytest.skip("OR-Tools ends the process on a second variable of a name")
    model, x, y = PACKAGES[package](name, name)
    solved = solve(model, tmp_path)
    assert (solved.values.value(x), solved.values.value(y)) == (2, 3)
    if name:
        with pytest.raises(KeyError, match="several variables have this name"):
            solved.values.value(name)


@pytest.mark.parametrize("package", PACKAGES)
def test_names_that_are_no_variable_of_the_model(tmp_path: Path, package: str) -> None:
    model, _, _ = PACKAGES[package]("x", "y")
    solved = solve(model, tmp_path)
    with pytest.raises(KeyError, match="no variable of this name"):
        solved.values.value("z")
    with pytest.raises(TypeError, match="expected a variable of the"):
        solved.values.value(3.5)
    with pytest.raises(TypeError, match="expected a variable of the"):
        solved.values.value(None)


def test_a_negated_literal(tmp_path: Path) -> None:
    model = cp_model.CpModel()
    b = model.new_bool_var("b")
    model.add_bool_or([~b])
    solved = solve(model, tmp_path)
    assert (solved.values.value(b), solved.values.value(~b)) == (0, 1)


def scip_start() -> tuple[Any, dict[str, float]]:
    model, x, y = scip("a b", "y")
    solution = model.createSol()
    model.setSolVal(solution, x, 1)
    model.setSolVal(solution, y, 2)
    model.addSol(solution)
    return model, {"a_b": 1, "y": 2}


def highs_start() -> tuple[Any, dict[str, float]]:
    engine, _, _ = highs("x", "y")
    solution = highspy.HighsSolution()
    solution.col_value = [1.0, 2.0]
    engine.setSolution(solution)
    return engine, {"x": 1, "y": 2}


def linear_solver_start() -> tuple[Any, dict[str, float]]:
    solver, x, _ = linear_solver("x", "")
    solver.SetHint([x], [1])
    return solver, {"x": 1}


def builder_start() -> tuple[Any, dict[str, float]]:
    model, _, y = builder("x", "y")
    model.add_hint(y, 2)
    return model, {"y": 2}


def cp_sat_start() -> tuple[Any, dict[str, float]]:
    model, x, y = cp_sat("x", "x")
    model.add_hint(x, 1)
    model.add_hint(y, 0)
    return model, {"x": 1, "x_1": 0}


@pytest.mark.parametrize(
    "make", [scip_start, highs_start, linear_solver_start, builder_start, cp_sat_start]
)
def test_warm_starts_of_the_object(
    tmp_path: Path, make: Callable[[], tuple[Any, dict[str, float]]]
) -> None:
    model, start = make()
    assert solve(model, tmp_path).start == start


@pytest.mark.parametrize("make", [scip, builder, math_opt, cp_sat])
def test_a_warm_start_by_variables(tmp_path: Path, make: MakePair) -> None:
    model, x, _ = make("x 1", "y 2")
    assert solve(model, tmp_path, warm_start=[(x, 1), ("y 2", 2)]).start == {
        "x_1": 1,
        "y_2": 2,
    }


def test_a_solution_hint_of_math_opt(tmp_path: Path) -> None:
    model, x, _ = math_opt("x", "y")
    assert solve(
        model, tmp_path, warm_start=mathopt.SolutionHint(variable_values={x: 1.0})
    ).start == {"x": 1}


@pytest.mark.parametrize("name", ["after optimize", "free"])
def test_a_pyscipopt_model_that_was_solved(tmp_path: Path, name: str) -> None:
    model, x, y = scip("x", "y")
    model.optimize()
    if name == "free":
        model.freeTransform()
    solved = solve(model, tmp_path)
    assert solved.objective == 21
    assert (solved.values.value(x), solved.values.value(y)) == (2, 3)
    assert solved.start == {"x": 2, "y": 3}


def test_random_scheduling_models_of_cp_sat(tmp_path: Path) -> None:
    """No-overlap with optional intervals, elements, maxima: the optimum is CP-SAT's own."""
    for seed in range(6):
        rng = random.Random(seed)
        model = cp_model.CpModel()
        starts = [model.new_int_var(0, 9, f"s {i}") for i in range(3)]
        there = [model.new_bool_var(f"p{i}") for i in range(3)]
        sizes = [rng.randint(1, 4) for _ in range(3)]
        tasks = [
            model.new_optional_interval_var(s, d, s + d, p, "t")
            for s, d, p in zip(starts, sizes, there, strict=True)
        ]
        model.add_no_overlap(tasks)
        model.add(starts[0] + starts[1] != 5)
        model.add(sum(there) >= 2)
        end = model.new_int_var(0, 20, "end")
        model.add_max_equality(end, [s + d for s, d in zip(starts, sizes, strict=True)])
        model.minimize(end - sum(rng.randint(1, 3) * p for p in there))
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        assert solver.solve(model) == cp_model.OPTIMAL
        solved = solve(model, tmp_path)
        assert solved.objective == pytest.approx(solver.objective_value), seed
        used = [
            (solved.values.value(s), d)
            for s, d, p in zip(starts, sizes, there, strict=True)
            if solved.values.value(p)
        ]
        used.sort()
        assert all(s + d <= t for (s, d), (t, _) in pairwise(used)), seed


def test_the_model_may_change_later(tmp_path: Path) -> None:
    """The map belongs to the model as it was sent."""
    model, x, _ = builder("x", "y")
    carried = carry_over(model, tmp_path / "m.mps")
    model.new_int_var(0, 1, "z")
    assert carried.variables.place(x) == (0, False)
    with pytest.raises(KeyError):
        carried.variables.place("z")


def test_cp_sat_without_finite_bounds_or_values(tmp_path: Path) -> None:
    """Enforced rows over huge domains, and a row that no value satisfies."""
    model = cp_model.CpModel()
    x, b, c = (
        model.new_int_var(-(2**62), 2**62, "x"),
        model.new_bool_var("b"),
        model.new_bool_var("c"),
    )
    model.add(x <= 5).only_enforce_if(b)
    model.add(x <= 9)
    model.add_linear_expression_in_domain(
        x, cp_model.Domain.from_intervals([])
    ).only_enforce_if(c)
    model.maximize(x + 2 * b + 100 * c)
    solved = solve(model, tmp_path)
    assert solved.objective == 9
    assert (solved.values.value(x), solved.values.value(b), solved.values.value(c)) == (
        9,
        0,
        0,
    )

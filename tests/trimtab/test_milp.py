"""Model objects of solvers become uploads that the readers understand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from solvers.highs import HighsSolver
from solvers.read import read_model
from solvers.types import SolveParams
from trimtab.milp import write_model
from trimtab.specs.ilp import IlpSpec


def highs() -> Any:
    import highspy

    engine = highspy.Highs()
    engine.setOptionValue("output_flag", False)
    x, y = engine.addIntegral(0, 10), engine.addIntegral(0, 10)
    engine.addConstr(2 * x + 3 * y <= 12)
    engine.maximize(3 * x + 4 * y)
    return engine


def scip() -> Any:
    from pyscipopt import Model

    model = Model()
    model.hideOutput()
    x, y = (model.addVar(name, vtype="I", lb=0, ub=10) for name in "xy")
    model.addCons(2 * x + 3 * y <= 12)
    model.setObjective(3 * x + 4 * y, "maximize")
    return model


def pywraplp() -> Any:
    from ortools.linear_solver import pywraplp as lib

    solver = lib.Solver.CreateSolver("SCIP")
    x, y = solver.IntVar(0, 10, "x"), solver.IntVar(0, 10, "y")
    solver.Add(2 * x + 3 * y <= 12)
    solver.Maximize(3 * x + 4 * y)
    return solver


def builder() -> Any:
    from ortools.linear_solver.python import model_builder

    model = model_builder.Model()
    x, y = model.new_int_var(0, 10, "x"), model.new_int_var(0, 10, "y")
    model.add(2 * x + 3 * y <= 12)
    model.maximize(3 * x + 4 * y)
    return model


def proto() -> Any:
    from ortools.linear_solver import linear_solver_pb2

    made = linear_solver_pb2.MPModelProto(maximize=True)
    for name, cost in (("x", 3.0), ("y", 4.0)):
        made.variable.add(
            lower_bound=0,
            upper_bound=10,
            is_integer=True,
            objective_coefficient=cost,
            name=name,
        )
    made.constraint.add(
        lower_bound=float("-inf"),
        upper_bound=12,
        var_index=[0, 1],
        coefficient=[2.0, 3.0],
        name="c",
    )
    return made


def math_opt() -> Any:
    from ortools.math_opt.python import mathopt

    model = mathopt.Model(name="toy")
    x, y = (
        model.add_integer_variable(lb=0, ub=10, name="x"),
        model.add_integer_variable(lb=0, ub=10, name="y"),
    )
    model.add_linear_constraint(2 * x + 3 * y <= 12)
    model.maximize(3 * x + 4 * y)
    return model


def math_opt_proto() -> Any:
    return math_opt().export_model()


@pytest.mark.parametrize(
    "make", [highs, scip, pywraplp, builder, proto, math_opt, math_opt_proto]
)
def test_written_and_read_again(make: Any, tmp_path: Path) -> None:
    model = read_model(write_model(make(), tmp_path / "model.mps"))
    result = HighsSolver().solve(model, SolveParams())
    assert result.primal is not None
    assert model.in_user_sense(result.primal) == pytest.approx(18.0)  # x = 6, y = 0


def test_spec_of_a_model_object() -> None:
    spec = IlpSpec.from_model(builder())
    assert spec.model is not None
    assert spec.model.name == "model.mps"
    assert set(spec.artifacts()) == {"model"}


def test_anything_else_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"expected a highspy\.Highs.*, got builtins\.dict"
    ):
        write_model({})

"""MathOpt's own remote client against a real server, beside MathOpt's local solves."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("ortools.math_opt.python.mathopt")
pytest.importorskip("requests")

from ortools.math_opt.python import mathopt
from ortools.math_opt.python.ipc.remote_http_solve import (
    OptimizationServiceError,
    remote_http_solve,
)

from tests.trimtab.doors.test_pool import objectives
from trimtab.client import Client
from workers.bench.service.harness import Server

# protobuf warns of its own methods, which OR-Tools calls.
pytestmark = pytest.mark.filterwarnings("ignore")

Solve = Callable[..., tuple[mathopt.SolveResult, list[str]]]


@pytest.fixture
def solve(server: Server) -> Solve:
    def remote(model: Any, kind: Any = mathopt.SolverType.HIGHS, **more: Any) -> Any:
        more.setdefault("deadline_sec", 240)
        return remote_http_solve(
            model,
            kind,
            endpoint=f"{server.url}/v1/mathopt:solveMathOptModel",
            api_key=more.pop("api_key", server.key),
            **more,
        )

    return remote


def transport(*, maximize: bool) -> tuple[mathopt.Model, list[Any], list[Any]]:
    """Return an LP with a range, an equation, a bound that binds and a constant."""
    model = mathopt.Model(name="transport")
    x = model.add_variable(lb=0, ub=4, name="a b")
    y = model.add_variable(lb=0)
    z = model.add_variable(lb=-math.inf, ub=10)
    rows = [
        model.add_linear_constraint(x + 2 * y <= 14, name="c"),
        model.add_linear_constraint((3 * x - y >= 0) <= 9),
        model.add_linear_constraint(x - y + z == 2),
    ]
    cost = 3 * x + 4 * y + z + 7
    model.maximize(cost) if maximize else model.minimize(-1 * cost)
    return model, [x, y, z], rows


@pytest.mark.parametrize("maximize", [True, False])
def test_an_lp_has_the_duals_of_a_local_solve(solve: Solve, maximize: bool) -> None:
    model, variables, rows = transport(maximize=maximize)
    local = mathopt.solve(model, mathopt.SolverType.GLOP)
    remote, messages = solve(model)
    assert remote.termination.reason == mathopt.TerminationReason.OPTIMAL
    assert remote.objective_value() == pytest.approx(local.objective_value())
    assert remote.best_objective_bound() == pytest.approx(local.objective_value())
    for variable in variables:
        assert remote.variable_values(variable) == pytest.approx(
            local.variable_values(variable)
        )
        assert remote.reduced_costs(variable) == pytest.approx(
            local.reduced_costs(variable), abs=1e-9
        )
    for row in rows:
        assert remote.dual_values(row) == pytest.approx(local.dual_values(row), abs=1e-9)
    assert "check: valid" in messages[-1]


def knapsack() -> tuple[mathopt.Model, list[Any]]:
    model = mathopt.Model()
    binaries = [model.add_binary_variable(name=f"b{k}") for k in range(4)]
    whole = model.add_integer_variable(lb=0, ub=3)
    everything = [*binaries, whole]
    weights, gains = (2, 3, 1, 4, 1), (5, 4, 3, 7, 2)
    model.add_linear_constraint(
        sum(w * v for w, v in zip(weights, everything, strict=True)) <= 7
    )
    model.maximize(sum(g * v for g, v in zip(gains, everything, strict=True)))
    return model, everything


def test_a_pool_a_hint_and_limits(solve: Solve, server: Server) -> None:
    model, variables = knapsack()
    parameters = mathopt.SolveParameters(
        solution_pool_size=4,
        threads=1,
        random_seed=3,
        time_limit=dt.timedelta(seconds=120),
        relative_gap_tolerance=0.0,
        enable_output=True,
        presolve=mathopt.Emphasis.HIGH,
    )
    hints = mathopt.ModelSolveParameters(
        solution_hints=[mathopt.SolutionHint(variable_values={variables[0]: 1.0})]
    )
    result, messages = solve(
        model, mathopt.SolverType.GSCIP, params=parameters, model_params=hints
    )
    found = [one.primal_solution.objective_value for one in result.solutions]
    assert found == objectives()[:4]
    assert any("presolve has no effect" in line for line in messages)
    assert any("incumbent" in line for line in messages), "the log"
    job_id = messages[-1].split()[2].rstrip(",")
    with Client(server.url, api_key=server.key) as client:
        spec = client.job(job_id).input()["spec"]
    assert (spec["engine"], spec["threads"], spec["pool"]["size"]) == ("scip", 1, 4)
    assert spec["warm_start"] is not None


def test_a_cutoff_is_its_own_limit(solve: Solve) -> None:
    result, _ = solve(knapsack()[0], params=mathopt.SolveParameters(cutoff_limit=15.5))
    ended = result.termination
    assert ended.reason == mathopt.TerminationReason.NO_SOLUTION_FOUND
    assert ended.limit == mathopt.Limit.OTHER, "its enumeration has no CUTOFF"
    assert "cutoff" in ended.detail


def infeasible() -> mathopt.Model:
    model = mathopt.Model()
    x = model.add_variable(lb=0, ub=1)
    model.add_linear_constraint(x >= 2)
    model.minimize(x)
    return model


def unbounded() -> mathopt.Model:
    model = mathopt.Model()
    x = model.add_integer_variable(lb=0)
    model.maximize(x)
    return model


def constant() -> mathopt.Model:
    model = mathopt.Model()
    model.minimize(5.0)
    return model


@pytest.mark.parametrize(
    ("make", "reasons"),
    [
        (infeasible, {"INFEASIBLE"}),
        (unbounded, {"UNBOUNDED", "INFEASIBLE_OR_UNBOUNDED"}),
        (constant, {"OPTIMAL"}),
    ],
)
def test_ends_without_a_search(
    solve: Solve, make: Callable[[], mathopt.Model], reasons: set[str]
) -> None:
    result, _ = solve(make())
    assert result.termination.reason.name in reasons


def test_parts_beyond_linear(solve: Solve) -> None:
    model = mathopt.Model()
    on, x = model.add_binary_variable(), model.add_variable(lb=0, ub=5)
    y = model.add_variable(lb=0, ub=5)
    model.add_indicator_constraint(indicator=on, implied_constraint=x <= 1)
    model.add_quadratic_constraint(x * x + y * y <= 8)
    model.maximize(x + y + 2 * on)
    result, _ = solve(model, mathopt.SolverType.GSCIP)
    assert result.objective_value() == pytest.approx(2 + 1 + 7**0.5, abs=1e-4)


def second_objective(model: mathopt.Model, x: Any) -> None:
    model.add_auxiliary_objective(priority=2, expr=x)


def test_a_second_objective_is_named(solve: Solve) -> None:
    model = mathopt.Model()
    second_objective(model, model.add_variable(lb=0, ub=1))
    with pytest.raises(OptimizationServiceError, match="auxiliary_objectives"):
        solve(model)


def test_refusals_reach_the_client(solve: Solve) -> None:
    model, _ = knapsack()
    with pytest.raises(OptimizationServiceError, match="iteration_limit"):
        solve(model, params=mathopt.SolveParameters(iteration_limit=5))
    with pytest.raises(OptimizationServiceError, match="401"):
        solve(model, api_key="tt_wrong")

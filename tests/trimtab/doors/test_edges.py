"""Conditions that users vary: names of files, sizes, numbers, options, through doors and files."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.trimtab.doors.test_solve import knapsacks
from trimtab.doors.answer import SolveOptions
from trimtab.doors.solve import solve
from trimtab.results import Reason


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        # Names as on Windows, with blanks and other scripts, are names of files all the same.
        ("Minimize\n o: 1e-7 x\nSubject To\n c: 1e-7 x >= 2e-7\nEnd\n", 2e-7),
        ("Minimize\n o: x\nSubject To\n c: x >= 2\nBounds\n x <= 1e9\nEnd\n", 2.0),
        ("Maximize\n o: x\nSubject To\n c: x >= 2\nBounds\n x <= 1e9\nEnd\n", 1e9),
        (
            "Maximize\n o: x - y\nSubject To\n c: x + y >= 1\nBounds\n -1.5 <= y <= 3.7\n"
            " 0.3 <= x <= 2.7\nGeneral\n x y\nEnd\n",
            3.0,
        ),
    ],
)
def test_numbers_and_names_of_files(tmp_path: Path, text: str, objective: float) -> None:
    folder = tmp_path / "with blank" / "größe 模型"
    folder.mkdir(parents=True)
    model = folder / "C:\\models\\a b.lp"
    model.write_text(text)
    answer = solve(model, SolveOptions(seconds=120, threads=1))
    assert answer.reason is Reason.OPTIMAL
    assert answer.objective == pytest.approx(objective, rel=1e-9)


@pytest.fixture
def pulp() -> Any:
    module = pytest.importorskip("pulp")
    module.set_v4_migration_warnings(False)
    return module


def test_pulp_without_variables(pulp: Any) -> None:
    from trimtab.pulp import Trimtab

    problem = pulp.LpProblem("empty")
    problem += pulp.LpAffineExpression(constant=5)
    assert problem.solve(Trimtab(msg=False)) == pulp.LpStatusOptimal
    assert pulp.value(problem.objective) == 5


def test_pulp_pool_and_callback(pulp: Any) -> None:
    from trimtab.pulp import Trimtab

    problem = pulp.LpProblem("p", pulp.LpMaximize)
    x = [pulp.LpVariable(f"x{i}", cat="Binary") for i in range(3)]
    problem += 3 * x[0] + 2 * x[1] + x[2] + 10
    problem += x[0] + x[1] + x[2] <= 2
    seen: list[Any] = []
    solver = Trimtab(msg=False, timeLimit=200, pool=3, callback=seen.append)
    problem.solve(solver)
    assert [objective for objective, _ in problem.trimtab_pool] == [15, 14, 13]
    assert problem.trimtab_pool[1][1] == {"x0": 1, "x1": 0, "x2": 1}
    assert all(set(one.values) == {"x0", "x1", "x2"} for one in seen)


def test_pyomo_pool_is_loaded_by_number() -> None:
    pyo = pytest.importorskip("pyomo.environ")

    from trimtab.pyomo import Trimtab

    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(3), within=pyo.Binary)
    model.c = pyo.Constraint(expr=sum(model.x[i] for i in range(3)) <= 2)
    model.o = pyo.Objective(
        expr=3 * model.x[0] + 2 * model.x[1] + model.x[2], sense=pyo.maximize
    )
    results = Trimtab().solve(
        model, time_limit=200, solver_options={"pool": 3, "feasibility_tolerance": 1e-8}
    )
    loader = results.solution_loader
    assert loader.get_solution_ids() == [0, 1, 2]
    with loader.solution(1) as second:
        second.load_vars()
        assert [model.x[i]() for i in range(3)] == [1, 0, 1]
    with pytest.raises(ValueError, match="expected a number below 3"):
        loader.solution(3).load_vars()


def test_pyomo_without_an_active_objective() -> None:
    pe = pytest.importorskip("pyomo.environ")
    import trimtab.pyomo  # noqa: F401  # registers the solver

    model = pe.ConcreteModel()
    model.x = pe.Var(domain=pe.NonNegativeIntegers)
    model.cost = pe.Objective(expr=model.x)
    model.cost.deactivate()
    model.row = pe.Constraint(expr=model.x >= 2.5)
    results = pe.SolverFactory("trimtab").solve(model)
    assert str(results.solver.termination_condition) == "optimal"
    assert pe.value(model.x) >= 3
    assert [one.name for one in model.component_data_objects(pe.Objective)] == ["cost"]


def test_the_log_of_the_command_comes_while_it_runs(tmp_path: Path) -> None:
    """Lines arrive one by one through a pipe, and an interrupt keeps the solution."""
    knapsacks(tmp_path)
    command = [sys.executable, "-P", "-m", "trimtab.cli", "solve", "model.lp"]
    newest = tmp_path / "newest.sol"
    with subprocess.Popen(
        [*command, "--local", "--seconds", "200", "--incumbent", newest.name],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        first = [running.stderr.readline() for _ in range(3)]
        assert "incumbent" in first[1]
        assert running.poll() is None, "the log is live"
        until = time.monotonic() + 100
        while not newest.exists() and time.monotonic() < until:
            time.sleep(0.1)
        assert newest.read_text().startswith("=obj= ")
        running.send_signal(2)
        out, _ = running.communicate(timeout=200)
    assert running.returncode == 0
    assert (tmp_path / out.strip()).read_text().startswith("=obj= ")

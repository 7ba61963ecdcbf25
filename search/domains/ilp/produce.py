"""Produce phase: the solution as text and JSON, duals of an LP, the curve as table and picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from search.domains.ilp.duals import has_duals, write_duals
from search.domains.ilp.problem import IlpProblem
from search.domains.ilp.solution import Curve, IlpSolution, SolutionPool, differing
from search.drawing.curves import step_curves
from search.types import Extra, Produced
from solvers.types import Floats
from trimtab.results import DUALS_FILE, POOL_FILE


def produce(
    problem: IlpProblem, solution: IlpSolution, workdir: Path
) -> list[Produced | Extra]:
    """Write `solution.sol` and `solution.json`; offer `duals.json` and the curve's two files."""
    files = write_solution(problem, solution.x, workdir)
    if solution.pool is not None:
        files.append(_write_pool(problem, solution.pool, workdir))
    return [*files, *_duals(problem, solution), *curve_extras(solution.curve)]


def _write_pool(problem: IlpProblem, pool: SolutionPool, workdir: Path) -> Produced:
    """Write `solutions.json`: the pool, with the nonzeros of each solution."""
    integer = np.flatnonzero(problem.model.integrality)
    best = pool.solutions[0].x if pool.solutions else None
    rows = [
        {
            "objective": one.objective,
            "checked": "valid",
            "exactly_feasible": one.exactly_feasible,
            "distance": 0 if best is None else differing(one.x, best, integer),
            "nonzeros": problem.nonzeros_by_name(one.x),
        }
        for one in pool.solutions
    ]
    whole = {
        "sense": "maximize" if problem.model.maximize else "minimize",
        "proved": pool.proved,
        "complete": pool.complete,
        "note": pool.note,
        "distance": pool.distance,
        "solutions": rows,
    }
    path = workdir / POOL_FILE
    path.write_text(json.dumps(whole, indent=0), encoding="utf-8")
    return Produced(name=POOL_FILE, path=path, media_type="application/json")


def _duals(problem: IlpProblem, solution: IlpSolution) -> list[Extra]:
    """Offer the duals of an optimal solution of an LP."""
    if not (solution.optimal and has_duals(problem.model)):
        return []
    write = partial(write_duals, problem.model, solution.x)
    return [Extra(name=DUALS_FILE, write=write, media_type="application/json")]


def solution_json(problem: IlpProblem, x: Floats) -> bytes:
    """Return objective and nonzeros of the values x (n,) as JSON."""
    model = problem.model
    document = {
        "objective": model.in_user_sense(model.objective(x)),
        "nonzeros": problem.nonzeros_by_name(x),
    }
    return json.dumps(document, indent=0).encode()


def write_solution(problem: IlpProblem, x: Floats, workdir: Path) -> list[Produced]:
    """Write the nonzeros as `solution.sol` (the form of MIPLIB) and `solution.json`."""
    values = problem.nonzeros_by_name(x)
    objective = problem.model.in_user_sense(problem.model.objective(x))
    sol = workdir / "solution.sol"
    with sol.open("w", encoding="utf-8") as file:
        file.write(f"=obj= {_number(objective)}\n")
        file.writelines(f"{name} {_number(value)}\n" for name, value in values.items())
    as_json = workdir / "solution.json"
    as_json.write_bytes(solution_json(problem, x))
    return [
        Produced(name="solution.sol", path=sol, media_type="text/plain"),
        Produced(name="solution.json", path=as_json, media_type="application/json"),
    ]


def curve_extras(curve: Curve) -> list[Extra]:
    """Offer `curve.csv` (seconds, incumbent, bound; None is empty) and the same as a picture."""
    if not curve:  # a run that was finished from a checkpoint
        return []
    return [
        Extra(
            name="curve.csv", write=partial(_write_table, curve), media_type="text/csv"
        ),
        Extra(
            name="curve.svg",
            write=partial(_write_picture, curve),
            media_type="image/svg+xml",
        ),
    ]


def _write_table(curve: Curve, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("seconds,incumbent,bound\n")
        for seconds, *values in curve:
            cells = [f"{seconds:.3f}", *("" if v is None else repr(v) for v in values)]
            file.write(",".join(cells) + "\n")


def _write_picture(curve: Curve, path: Path) -> None:
    incumbents = [(seconds, value) for seconds, value, _ in curve if value is not None]
    bounds = [(seconds, value) for seconds, _, value in curve if value is not None]
    until = max((seconds for seconds, _, _ in curve), default=1.0)
    shown = {"incumbent": incumbents, "bound": bounds}
    limits = _limits(incumbents, bounds)
    path.write_text(
        step_curves(
            shown, until=until, title="Incumbent and bound over time", limits=limits
        )
    )


def _limits(
    incumbents: Sequence[tuple[float, float]], bounds: Sequence[tuple[float, float]]
) -> tuple[float, float] | None:
    """Return the range of values to show: near the end of the curve.

    A first solution may be a thousand times worse than the last.
    """
    if not incumbents:
        return None
    values = [value for _, value in [*incumbents, *bounds]]
    last = incumbents[-1][1]
    reach = 0.5 * max(abs(last), 1e-9)
    low, high = max(min(values), last - reach), min(max(values), last + reach)
    return (low, high) if high > low else None


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)

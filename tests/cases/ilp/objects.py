"""Solve a model object as the service would.

It is carried over, read by both readers, solved and checked, and its values are mapped back.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from solvers.exact import check
from solvers.solution_file import read_solution
from solvers.table import make_solver
from solvers.two_readings import load
from solvers.types import SolveParams
from trimtab.milp import carry_over
from trimtab.solution import SolutionValues


@dataclass(frozen=True, kw_only=True)
class Solved:
    reason: str
    objective: float | None  # as the exact check has it
    values: SolutionValues
    start: dict[str, float]  # by name in the file


def solve(model: Any, folder: Path, *, warm_start: Any = None) -> Solved:
    carried = carry_over(model, folder / "m.mps", warm_start=warm_start)
    loaded = load(carried.model)
    result = make_solver("scip").solve(loaded.model, SolveParams(time_limit_s=30.0))
    nonzeros: dict[str, float] = {}
    objective: Fraction | None = None
    if result.x is not None:
        verdict = check(loaded.exact, result.x.tolist())
        assert verdict.feasible, verdict.detail
        objective = verdict.objective
        nonzeros = {
            loaded.model.column_name(j): value
            for j, value in enumerate(result.x.tolist())
            if value
        }
    start: dict[str, float] = {}
    if carried.start is not None:
        values = read_solution(carried.start, loaded.model)
        start = {
            loaded.model.column_name(j): value
            for j, value in enumerate(values.tolist())
            if value == value
        }
    return Solved(
        reason=result.termination.reason.value,
        objective=None if objective is None else float(objective),
        values=SolutionValues(carried.variables, lambda: nonzeros),
        start=start,
    )

"""The files an owner gets: the solution in the usual text form and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from search.domains.ilp.problem import IlpProblem
from search.types import Produced
from solvers.types import Floats


def values_by_name(problem: IlpProblem, x: Floats) -> dict[str, float]:
    """Column name → value, integers whole. Every column, zeros too."""
    model = problem.model
    whole = model.integrality
    return {
        model.column_name(j): float(round(value)) if whole[j] else float(value) for j, value in enumerate(x.tolist())
    }


def produce(problem: IlpProblem, x: Floats, workdir: Path) -> list[Produced]:
    """`solution.sol` (name and value of each column that is not 0, as MIPLIB's and SCIP's) and `solution.json`."""
    values = {name: value for name, value in values_by_name(problem, x).items() if value != 0}
    objective = problem.model.in_user_sense(problem.model.objective(x))
    sol = workdir / "solution.sol"
    with sol.open("w", encoding="utf-8") as file:
        file.write(f"=obj= {_number(objective)}\n")
        file.writelines(f"{name} {_number(value)}\n" for name, value in values.items())
    as_json = workdir / "solution.json"
    as_json.write_text(json.dumps({"objective": objective, "nonzeros": values}, indent=0), encoding="utf-8")
    return [
        Produced(name="solution.sol", path=sol, media_type="text/plain"),
        Produced(name="solution.json", path=as_json, media_type="application/json"),
    ]


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)

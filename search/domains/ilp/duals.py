"""Duals and reduced costs of an LP's solution, proved before they are written.

A dual is the change of the objective per unit of a row's side, in the user's sense; a reduced cost
is the same of a column's bound. They belong to the reported solution: the simplex method starts at
it, and the file is written only if the duals price it without a gap.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import highspy
import numpy as np

from solvers.highs import new_engine, pass_model, run
from solvers.relaxation import dual_objective
from solvers.types import FEASIBILITY_TOLERANCE, Floats, MilpModel, SolveParams

_SECONDS = 30.0
_SAME = 1e-6  # relative difference of the two objectives


class NoDuals(Exception):
    """The duals could not be found or do not prove the solution; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Duals:
    """Multipliers of the minimised model."""

    rows: Floats  # (m,)
    columns: Floats  # (n,)
    objective: float


def has_duals(model: MilpModel) -> bool:
    """Return True for a linear program: no integers, and nothing beyond linear rows."""
    return model.extras is None and not bool(model.integrality.any()) and model.n > 0


def duals_of(model: MilpModel, x: Floats, *, seconds: float = _SECONDS) -> Duals:
    """Return the duals of the optimal solution x (n,). Raises NoDuals."""
    engine = new_engine(SolveParams(time_limit_s=seconds))
    engine.setOptionValue("time_limit", seconds)
    pass_model(engine, model)
    start = highspy.HighsSolution()
    start.col_value = x
    engine.setSolution(start)
    run(engine)
    solution = engine.getSolution()
    if not solution.dual_valid:
        status = engine.modelStatusToString(engine.getModelStatus())
        raise NoDuals(f"the simplex method ended with: {status}")
    rows, columns = np.array(solution.row_dual), np.array(solution.col_dual)
    # Every reduced cost is computed anew from the model, within the tolerance of engines.
    objective, _ = dual_objective(model, rows, negligible=FEASIBILITY_TOLERANCE)
    primal = model.objective(x)
    if not abs(objective - primal) <= _SAME * max(1.0, abs(primal)):
        raise NoDuals(
            f"they prove {objective:.10g}, and the solution has {primal:.10g}: it is not optimal"
        )
    return Duals(rows=rows, columns=columns, objective=objective)


def write_duals(model: MilpModel, x: Floats, path: Path) -> None:
    """Write what is not 0 by name, in the user's sense. Raises NoDuals."""
    duals = duals_of(model, x)
    sign = (-1.0 if model.maximize else 1.0) / model.cost_factor
    body = {
        "objective": model.in_user_sense(duals.objective),
        "duals": {
            model.row_name(i): sign * float(value)
            for i, value in enumerate(duals.rows.tolist())
            if value
        },
        "reduced_costs": {
            model.column_name(j): sign * float(value)
            for j, value in enumerate(duals.columns.tolist())
            if value
        },
    }
    path.write_text(json.dumps(body, indent=0), encoding="utf-8")

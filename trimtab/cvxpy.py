"""cvxpy door: `problem.solve(solver=Trimtab(), seconds=60)`, for linear and mixed-integer programs.

cvxpy knows its solvers by a closed list, so an object is passed instead of a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cvxpy.settings as s
from cvxpy.error import SolverError
from cvxpy.reductions.solution import Solution, failure_solution
from cvxpy.reductions.solvers import utilities
from cvxpy.reductions.solvers.conic_solvers.conic_solver import ConicSolver

from trimtab.adapters.draft import Draft, NotCarriedOver
from trimtab.doors.answer import Answer, DoorError, SolveOptions, option_names
from trimtab.doors.drafts import DraftAnswer, solve_draft
from trimtab.doors.log import SolveLog
from trimtab.results import Reason

_STATUS = {
    Reason.OPTIMAL: s.OPTIMAL,
    Reason.FEASIBLE: s.USER_LIMIT,
    Reason.INFEASIBLE: s.INFEASIBLE,
    Reason.UNBOUNDED: s.UNBOUNDED,
    Reason.INFEASIBLE_OR_UNBOUNDED: s.INFEASIBLE_OR_UNBOUNDED,
}
_MORE = ["where", "callback"]
_NOT_OPTIONS = ("start",)  # the start comes from the variables' values: warm_start=True


class Trimtab(ConicSolver):
    """Solver of cvxpy's linear and mixed-integer programs.

    Keyword arguments of `problem.solve`: the fields of `trimtab.doors.answer.SolveOptions` (gap,
    absolute_gap, cutoff, engine, feasibility_tolerance, pool, seconds, seed, threads and others),
    where (a trimtab Client, or "local"), and callback, which receives an `Improvement` for each
    better solution, by column of cvxpy's matrices: x0, x1, … Solutions of a pool are in
    `problem.solver_stats.extra_stats.pool`, by the same names.
    """

    MIP_CAPABLE = True
    BOUNDED_VARIABLES = True
    SUPPORTED_CONSTRAINTS = ConicSolver.SUPPORTED_CONSTRAINTS
    MI_SUPPORTED_CONSTRAINTS = SUPPORTED_CONSTRAINTS

    def name(self) -> str:
        """Return the solver's name."""
        return "TRIMTAB"

    def import_solver(self) -> None:
        """Do nothing: the engines run in other processes."""

    def cite(self, data: Mapping[str, Any]) -> str:
        """Return no citation."""
        return ""

    def apply(self, problem: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the matrices of a problem, with bounds and integers."""
        data, inverse_data = super().apply(problem)
        variables = data[s.PARAM_PROB].x
        data[s.BOOL_IDX] = [int(place[0]) for place in variables.boolean_idx]
        data[s.INT_IDX] = [int(place[0]) for place in variables.integer_idx]
        data[s.LOWER_BOUNDS] = data[s.PARAM_PROB].lower_bounds
        data[s.UPPER_BOUNDS] = data[s.PARAM_PROB].upper_bounds
        return data, inverse_data

    def solve_via_data(
        self,
        data: Mapping[str, Any],
        warm_start: bool,
        verbose: bool,
        solver_opts: Mapping[str, Any],
        solver_cache: Any = None,
    ) -> dict[str, Any]:
        """Solve, and return the answer with arrays of the caller's type. Raises SolverError."""
        names = [name for name in option_names() if name not in _NOT_OPTIONS]
        names += _MORE
        if unknown := sorted(set(solver_opts) - set(names)):
            raise SolverError(
                f"TRIMTAB: expected options {', '.join(names)}, got {unknown[0]!r}"
            )
        chosen = {name: value for name, value in solver_opts.items() if name not in _MORE}
        where, log = solver_opts.get("where"), SolveLog.to(verbose)
        try:
            options = SolveOptions(**chosen)
            draft = _draft(data)
            if warm_start:
                draft.set_start(_start(data))
            result = solve_draft(
                draft,
                options,
                where=where,
                log=log,
                on_solution=solver_opts.get("callback"),
            )
        except (DoorError, NotCarriedOver, ValueError) as error:
            raise SolverError(f"TRIMTAB: {error}") from error
        return _arrays(result, data)

    def invert(
        self, solution: Mapping[str, Any], inverse_data: Mapping[str, Any]
    ) -> Solution:
        """Return the solution of the original problem."""
        answer: Answer = solution["answer"]
        attributes = {s.SOLVE_TIME: answer.seconds, s.EXTRA_STATS: answer}
        status = _STATUS.get(answer.reason, s.SOLVER_ERROR)
        if answer.is_optimal():
            status = s.OPTIMAL
        if solution["x"] is None:
            return failure_solution(status, attributes)
        dual_vars = None
        if solution["y"] is not None:
            dual_vars = utilities.get_dual_values(
                solution["y"],
                utilities.extract_dual_value,
                inverse_data[self.EQ_CONSTR] + inverse_data[self.NEQ_CONSTR],
            )
        value = answer.objective + inverse_data[s.OFFSET]
        primal_vars = {inverse_data[self.VAR_ID]: solution["x"]}
        return Solution(status, value, primal_vars, dual_vars, attributes)


def _draft(data: Mapping[str, Any]) -> Draft:
    """Return min c·x, A x + slack = b with the slack 0 or nonnegative, as a draft."""
    draft = Draft(source="cvxpy")
    costs = data[s.C].tolist()
    lower = _bounds(data.get(s.LOWER_BOUNDS), len(costs), float("-inf"))
    upper = _bounds(data.get(s.UPPER_BOUNDS), len(costs), float("inf"))
    binary = set(data[s.BOOL_IDX])
    integer = binary | set(data[s.INT_IDX])
    for column in range(len(costs)):
        low, high = lower[column], upper[column]
        if column in binary:
            low, high = max(low, 0.0), min(high, 1.0)
        draft.add_column(f"x{column}", low, high, integer=column in integer)
    draft.own_columns = len(costs)
    sides = data[s.B].tolist()
    rows: list[dict[int, int | float]] = [{} for _ in sides]
    matrix = data[s.A].tocoo()
    for row, column, value in zip(
        matrix.row.tolist(), matrix.col.tolist(), matrix.data.tolist(), strict=True
    ):
        rows[row][column] = rows[row].get(column, 0.0) + value
    equations = data[ConicSolver.DIMS].zero
    for row, (terms, side) in enumerate(zip(rows, sides, strict=True)):
        low = side if row < equations else float("-inf")
        draft.add_row(f"r{row}", terms, low, side)
    draft.set_objective(dict(enumerate(costs)), 0, maximize=False)
    return draft


def _bounds(bounds: Any, count: int, absent: float) -> list[float]:
    return [absent] * count if bounds is None else [float(one) for one in bounds.tolist()]


def _start(data: Mapping[str, Any]) -> list[tuple[int, float]]:
    """Return (column, value) of the user's variables that have values."""
    problem = data[s.PARAM_PROB]
    values: list[tuple[int, float]] = []
    for variable in problem.variables:
        first = problem.var_id_to_col.get(variable.id)
        if variable.value is None or first is None:
            continue
        flat = variable.value.flatten(order="F").tolist()
        values += [(first + place, float(value)) for place, value in enumerate(flat)]
    return values


def _arrays(result: DraftAnswer, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return values and duals as arrays like those of the data: this module has no numpy."""
    x = y = None
    if result.values is not None:
        x = data[s.C].copy()
        x[:] = result.values
    if result.duals is not None and len(result.duals) == len(data[s.B]):
        y = data[s.B].copy()
        y[:] = [0.0 - value for value in result.duals]
    return {"answer": result.answer, "x": x, "y": y}

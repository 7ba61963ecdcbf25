"""PuLP door: `problem.solve(Trimtab(timeLimit=60))`. Importing this module registers the solver.

After the import, `pulp.getSolver("TRIMTAB", timeLimit=60)` finds it too.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pulp
from pulp.apis.core import LpSolver

from trimtab.adapters.draft import Draft, NotCarriedOver, Number
from trimtab.doors import local
from trimtab.doors.answer import Answer, DoorError, SolveOptions, option_names
from trimtab.doors.drafts import DraftAnswer, solve_draft
from trimtab.doors.log import SolveLog
from trimtab.results import Reason

# PuLP's own names, and where they go.
_OPTIONS = {
    "gapRel": "gap",
    "gapAbs": "absolute_gap",
    "maxNodes": "node_limit",
    **{name: name for name in option_names() if name not in ("seconds", "gap", "start")},
}
_KNOWN = (*_OPTIONS, "warmStart", "logPath", "where", "callback")


class Trimtab(LpSolver):
    """Solver of PuLP's problems, on a server (TRIMTAB_URL) or on this machine."""

    name = "TRIMTAB"

    def __init__(
        self,
        mip: bool = True,
        msg: bool = True,
        timeLimit: float | None = None,
        **options: Any,
    ) -> None:
        """Take PuLP's own options and ours.

        Args:
            mip: False solves the relaxation.
            msg: Show the log on standard output.
            timeLimit: Seconds.
            options: gapRel, gapAbs, threads, maxNodes, warmStart (start from the variables'
                values), logPath, where (a trimtab Client, or "local"), callback (receives an
                `Improvement` for each better solution, by variable name; True ends the solve), and
                the fields of `trimtab.doors.answer.SolveOptions`: cutoff, feasibility_tolerance,
                pool and others. Solutions of a pool are in `problem.trimtab_pool`.
        """
        super().__init__(mip=mip, msg=msg, timeLimit=timeLimit, **options)

    def available(self) -> bool:
        """Return True when a server is configured or this machine has the engines; asks nobody."""
        return local.available()

    def actualSolve(self, lp: Any, **kwargs: Any) -> int:
        """Solve, set values, duals and reduced costs, and return PuLP's status.

        Raises PulpSolverError for what the door cannot carry and a run without an answer.
        """
        for name in self.optionsDict:
            if name not in _KNOWN:
                warnings.warn(
                    f"TRIMTAB: option {name!r} is not supported and has no effect; expected one of "
                    f"{', '.join(_KNOWN)}",
                    stacklevel=3,
                )
        try:
            options = self._options()
            draft = _draft(lp, mip=bool(self.mip), start=bool(self._option("warmStart")))
            tee, path = bool(self.msg), self._option("logPath")
            with closing(SolveLog.to(tee, path)) as log:
                result = solve_draft(
                    draft,
                    options,
                    where=self._option("where"),
                    log=log,
                    on_solution=self._option("callback"),
                )
        except (DoorError, NotCarriedOver, ValueError) as error:
            raise pulp.PulpSolverError(f"TRIMTAB: {error}") from error
        return _load(lp, result)

    def _option(self, name: str) -> Any:
        return self.optionsDict.get(name)

    def _options(self) -> SolveOptions:
        chosen = {
            own: self._option(name)
            for name, own in _OPTIONS.items()
            if self._option(name) is not None
        }
        return SolveOptions(seconds=self.timeLimit, **chosen)


def _draft(lp: Any, *, mip: bool, start: bool) -> Draft:
    """Return the problem as a draft, columns and rows in PuLP's order."""
    draft = Draft(source="PuLP")
    place: dict[int, int] = {}  # by PuLP's hash: two variables may have the same name
    for variable in lp.variables():
        lower, upper = variable.lowBound, variable.upBound
        place[hash(variable)] = draft.add_column(
            variable.name,
            float("-inf") if lower is None else lower,
            float("inf") if upper is None else upper,
            integer=mip and variable.cat == pulp.LpInteger,
        )
    draft.own_columns = len(place)

    def terms(expression: Any) -> Mapping[int, Number]:
        return {place[hash(variable)]: value for variable, value in expression.items()}

    for name, row in _rows(lp):
        side = -row.constant
        lower = side if row.sense >= 0 else float("-inf")
        upper = side if row.sense <= 0 else float("inf")
        draft.add_row(name, terms(row), lower, upper)
    objective = lp.objective
    if objective is not None:
        draft.set_objective(
            terms(objective), objective.constant, maximize=lp.sense == pulp.LpMaximize
        )
    for kind, sets in ((1, lp.sos1), (2, lp.sos2)):
        for name, members in sets.items():
            columns = [place[hash(variable)] for variable in members]
            draft.add_set(str(name), kind, columns, list(members.values()))
    if start:
        draft.set_start(
            (place[hash(variable)], variable.varValue)
            for variable in lp.variables()
            if variable.varValue is not None
        )
    return draft


def _rows(lp: Any) -> list[tuple[str, Any]]:
    """Return (name, constraint) in PuLP's order, in a way that 3.3 does not warn about."""
    rows = getattr(lp, "_constraints", None)
    if rows is None:
        rows = lp.constraints
    return list(rows.items())


def _load(lp: Any, result: DraftAnswer) -> int:
    """Write the answer into the problem and return PuLP's status."""
    status, solution_status = _status(result.answer)
    lp.assignStatus(status, solution_status)
    variables, rows = lp.variables(), [row for _, row in _rows(lp)]
    if result.values is not None:
        for variable, value in zip(variables, result.values, strict=True):
            variable.varValue = value
        for row in rows:
            row.slack = 0.0 - float(row.value())
    names = [variable.name for variable in variables]
    lp.trimtab_pool = [
        (objective, dict(zip(names, values, strict=True)))
        for objective, values in result.pool
    ]
    if result.reduced_costs is not None:
        for variable, value in zip(variables, result.reduced_costs, strict=True):
            variable.dj = value
    # A row that became two has crossed sides: then there are no duals.
    if result.duals is not None and len(result.duals) == len(rows):
        for row, value in zip(rows, result.duals, strict=True):
            row.pi = value
    return status


def _status(answer: Answer) -> tuple[int, int]:
    """Return PuLP's status of the problem and of its solution."""
    match answer.reason:
        case Reason.OPTIMAL:
            return pulp.LpStatusOptimal, pulp.LpSolutionOptimal
        case Reason.FEASIBLE if answer.is_optimal():
            return pulp.LpStatusOptimal, pulp.LpSolutionOptimal
        case Reason.FEASIBLE:  # PuLP's convention for a limit with a solution
            return pulp.LpStatusOptimal, pulp.LpSolutionIntegerFeasible
        case Reason.INFEASIBLE:
            return pulp.LpStatusInfeasible, pulp.LpSolutionInfeasible
        case Reason.UNBOUNDED:
            return pulp.LpStatusUnbounded, pulp.LpSolutionUnbounded
        case Reason.NO_SOLUTION_FOUND:
            return pulp.LpStatusNotSolved, pulp.LpSolutionNoSolutionFound
        case _:
            return pulp.LpStatusUndefined, pulp.LpSolutionNoSolutionFound


TRIMTAB = Trimtab


def _register() -> None:
    """Make `pulp.getSolver("TRIMTAB")` find the solver."""
    add = getattr(pulp.apis, "addSolver", None)
    if add is not None:
        add(Trimtab)
        return
    solvers = pulp.apis._all_solvers
    if Trimtab not in solvers:
        solvers.append(Trimtab)


_register()

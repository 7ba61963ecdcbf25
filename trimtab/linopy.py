"""linopy door: `model.solve(remote=Trimtab(seconds=60))`.

linopy knows its solvers by a closed list, so an object is passed as its remote solver.
`solve(model)` does the same without that hook.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from linopy.constants import Result, Solution, Status

from trimtab.adapters.start import write_start
from trimtab.doors.answer import Answer, OnSolution, SolveOptions
from trimtab.doors.log import SolveLog
from trimtab.doors.solve import solve as run
from trimtab.results import Limit, Reason

_CONDITIONS = {
    Reason.OPTIMAL: "optimal",
    Reason.INFEASIBLE: "infeasible",
    Reason.UNBOUNDED: "unbounded",
    Reason.INFEASIBLE_OR_UNBOUNDED: "infeasible_or_unbounded",
    Reason.NO_SOLUTION_FOUND: "unknown",
}

# Arguments of Model.solve that come with every call and concern files that this door does not use.
_IGNORED = frozenset(
    {
        "solver_name",
        "io_api",
        "problem_fn",
        "solution_fn",
        "log_fn",
        "basis_fn",
        "keep_files",
        "sanitize_zeros",
        "reformulate_sos",
    }
)


class Trimtab:
    """Solver of linopy's models, on a server (TRIMTAB_URL) or on this machine.

    Args:
        tee: True shows the log on standard output; a stream is written to.
        warm_start: Start from the solution that the model has.
        where: A trimtab Client, or "local".
        callback: Receives an `Improvement` for each better solution, by linopy's name of the column
            (`x` and its label); True ends the solve.
        options: Fields of `trimtab.doors.answer.SolveOptions`: seconds, gap, absolute_gap, threads,
            engine, seed, cutoff, feasibility_tolerance, pool and others. `answer.pool` holds the
            solutions of a pool.
    """

    def __init__(
        self,
        *,
        tee: Any = False,
        warm_start: bool = False,
        where: Any = None,
        callback: OnSolution | None = None,
        **options: Any,
    ) -> None:
        self._tee, self._warm_start, self._where = tee, warm_start, where
        self._callback = callback
        self._options = SolveOptions(**options)
        self.answer: Answer | None = None
        """The newest answer: bound, gap, verdict of the check, id of the job."""

    def solve_on_remote(self, model: Any, **told: Any) -> Any:
        """Solve a model, as `Model.solve(remote=...)` asks; return what it reads the answer from.

        Raises ValueError for options of `Model.solve` that belong to other solvers, and DoorError.
        """
        for name, value in told.items():
            if name not in _IGNORED and value is not None:
                raise ValueError(
                    f"{name}: expected options in Trimtab(...), got {value!r} in Model.solve"
                )
        status, _ = solve(model, self)
        return model if status == "ok" else _without_solution(model)


def solve(model: Any, solver: Trimtab | None = None) -> tuple[str, str]:
    """Solve a model and load its solution; return linopy's status and termination condition."""
    solver = solver or Trimtab()
    with tempfile.TemporaryDirectory(prefix="trimtab-linopy-") as folder:
        file, start = Path(folder) / "model.lp", None
        model.to_file(file, io_api="lp", progress=False)
        if solver._warm_start:
            start = write_start(Path(folder) / "start.sol", _start(model))
        log = SolveLog.to(solver._tee)
        options = replace(solver._options, start=start)
        answer = run(
            file, options, where=solver._where, log=log, on_solution=solver._callback
        )
    solver.answer = answer
    status = Status.from_termination_condition(_condition(answer))
    solution = None
    if answer.has_solution:
        solution = Solution(
            primal=_array(model._xCounter, "x", answer.nonzeros or {}),
            dual=_array(
                model._cCounter if answer.duals is not None else 0,
                "c",
                answer.duals or {},
            ),
            objective=answer.objective,
        )
    loaded: tuple[str, str] = model.assign_result(Result(status, solution))
    return loaded


def _condition(answer: Answer) -> str:
    if answer.is_optimal():
        return "optimal"
    if answer.reason is Reason.FEASIBLE:
        return "time_limit" if answer.limit is Limit.TIME else "terminated_by_limit"
    return _CONDITIONS.get(answer.reason, "internal_solver_error")


def _array(count: int, letter: str, values: Any) -> Any:
    """Return values by label, 0 where there is none, in linopy's own type of array."""
    array = Solution().primal
    array.resize(count, refcheck=False)
    array[:] = 0.0
    for name, value in values.items():
        label = name.removeprefix(letter)
        if label.isdecimal() and int(label) < count:
            array[int(label)] = value
    return array


def _start(model: Any) -> Iterator[tuple[str, float]]:
    """Yield (name in the file, value) of the variables that have a solution."""
    for variable in (model.variables[name] for name in model.variables):
        if "solution" not in variable.data:
            continue
        labels = variable.labels.values.flatten().tolist()
        values = variable.solution.values.flatten().tolist()
        for label, value in zip(labels, values, strict=True):
            if label >= 0 and math.isfinite(value):
                yield f"x{label}", float(value)


def _without_solution(model: Any) -> Any:
    """Return a stand-in that has the status and no values: linopy reads a solution from it."""
    return SimpleNamespace(
        objective=SimpleNamespace(value=None),
        status=model.status,
        termination_condition=model.termination_condition,
        variables={
            name: SimpleNamespace(solution=variable.lower * math.nan)
            for name, variable in model.variables.items()
        },
        constraints={name: () for name in model.constraints},
    )

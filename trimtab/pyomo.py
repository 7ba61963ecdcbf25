"""Pyomo door: `SolverFactory("trimtab")`. Importing this module registers the solver.

It is registered in Pyomo's own factory and in `pyomo.contrib.solver.common.factory`. Without this
package beside Pyomo, the executable `trimtab-ampl` serves: `SolverFactory("trimtab-ampl")`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyomo.common.collections import ComponentMap
from pyomo.common.config import ConfigValue
from pyomo.common.modeling import unique_component_name
from pyomo.common.tee import TeeStream
from pyomo.contrib.solver.common.base import Availability, SolverBase
from pyomo.contrib.solver.common.config import BranchAndBoundConfig
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import (
    Results,
    SolutionStatus,
    TerminationCondition,
)
from pyomo.contrib.solver.common.solution_loader import (
    NoSolutionSolutionLoader,
    SolutionLoader,
)
from pyomo.contrib.solver.common.util import (
    IncompatibleModelError,
    NoDualsError,
    NoFeasibleSolutionError,
    NoOptimalSolutionError,
    NoReducedCostsError,
    NoSolutionError,
)
from pyomo.core.base.objective import Objective
from pyomo.core.staleflag import StaleFlagManager
from pyomo.repn.plugins.lp_writer import LPWriter

from trimtab import __version__
from trimtab.adapters.start import write_start
from trimtab.doors import local
from trimtab.doors.answer import (
    Answer,
    DoorError,
    Improvement,
    OnSolution,
    SolveOptions,
    option_names,
)
from trimtab.doors.log import SolveLog
from trimtab.doors.solve import solve
from trimtab.results import Limit, Reason

_CONSTANT = "ONE_VAR_CONSTANT"  # a column that Pyomo's LP writer adds for constants
# Of `solver_options`; Pyomo has its own names for the others.
_OPTIONS = tuple(
    name
    for name in option_names()
    if name not in ("seconds", "gap", "absolute_gap", "threads", "start")
)
_MORE = ("where", "callback")
_LEAST_S = 0.001  # stands for a time limit of 0, which ends a solve at once
_END = TerminationCondition
_CONDITIONS = {
    Reason.OPTIMAL: _END.convergenceCriteriaSatisfied,
    Reason.INFEASIBLE: _END.provenInfeasible,
    Reason.UNBOUNDED: _END.unbounded,
    Reason.INFEASIBLE_OR_UNBOUNDED: _END.infeasibleOrUnbounded,
}
_LIMITS = {
    Limit.TIME: _END.maxTimeLimit,
    Limit.TARGET_GAP: _END.convergenceCriteriaSatisfied,
    Limit.STOPPED: _END.interrupted,
    Limit.CUTOFF: _END.objectiveLimit,
    Limit.OBJECTIVE: _END.objectiveLimit,
    Limit.BOUND: _END.objectiveLimit,
    Limit.NODES: _END.iterationLimit,
}


class TrimtabConfig(BranchAndBoundConfig):
    """Options of Pyomo's branch-and-bound solvers, and a warm start."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.warm_start: bool = self.declare(
            "warm_start",
            ConfigValue(
                domain=bool,
                default=False,
                description="Start from the values of the model's variables.",
            ),
        )


@dataclass(frozen=True, kw_only=True)
class _Written:
    """A model in a file, and the map back from its names."""

    file: Path
    start: Path | None
    columns: list[tuple[str, Any]]
    rows: Any
    """Pyomo's symbol map."""

    def row(self, label: str) -> Any:
        """Return the constraint of a row of the file; None for rows that the writer added."""
        constraint = self.rows.bySymbol.get(label)
        return self.rows.aliases.get(label) if constraint is None else constraint


@SolverFactory.register(
    name="trimtab", legacy_name="trimtab", doc="trimtab, on a server or on this machine"
)
class Trimtab(SolverBase):
    """Solver of Pyomo's linear, mixed-integer and quadratic models.

    `solver_options` takes where (a trimtab Client, or "local"), callback (receives an `Improvement`
    for each better solution, by Pyomo variable; True ends the solve), and the fields of
    `trimtab.doors.answer.SolveOptions`: engine, seed, cutoff, feasibility_tolerance, pool and
    others. `results.solution_loader` holds the solutions of a pool.
    """

    CONFIG = TrimtabConfig()

    def available(self) -> Availability:
        """Return whether a server is configured or this machine has the engines; asks nobody."""
        return Availability.FullLicense if local.available() else Availability.NotFound

    def version(self) -> tuple[int, ...]:
        """Return the version of the SDK."""
        return tuple(int(part) for part in __version__.split(".")[:3])

    def solve(self, model: Any, **options: Any) -> Results:
        """Solve a model and load its solution.

        Raises IncompatibleModelError for a model or an option that the door cannot carry.
        """
        started = datetime.now(UTC)
        config = self.config(value=options, preserve_implicit=True)
        StaleFlagManager.mark_all_as_stale()
        extra = config.solver_options.value()
        if unknown := sorted(set(extra) - {*_OPTIONS, *_MORE}):
            raise IncompatibleModelError(
                f"solver_options: expected {', '.join((*_OPTIONS, *_MORE))}, got {unknown[0]!r}"
            )
        with (
            tempfile.TemporaryDirectory(prefix="trimtab-pyomo-") as folder,
            TeeStream(*config.tee) as streams,
        ):
            place = Path(config.working_dir or folder)
            written = _write(model, place, config)
            chosen = _options(config, extra, written)
            where, log = extra.get("where"), SolveLog(streams.STDOUT)
            try:
                answer = solve(
                    written.file,
                    chosen,
                    where=where,
                    log=log,
                    on_solution=_by_variable(written, extra.get("callback")),
                )
            except DoorError as error:
                raise IncompatibleModelError(f"trimtab: {error}") from error
        results = _results(answer, model, written, config)
        results.solver_name, results.solver_version = "trimtab", self.version()
        results.timing_info.start_timestamp = started
        results.timing_info.wall_time = answer.seconds
        _raise_or_load(results, config)
        return results


def _active_objective(model: Any) -> Any:
    return next(iter(model.component_data_objects(Objective, active=True)), None)


@contextmanager
def _with_objective(model: Any) -> Iterator[None]:
    """Give a model without an active objective a constant one meanwhile: the writer needs one."""
    if _active_objective(model) is not None:
        yield
        return
    name = unique_component_name(model, "trimtab_feasibility")
    model.add_component(name, Objective(expr=0))
    try:
        yield
    finally:
        model.del_component(name)


def _write(model: Any, folder: Path, config: Any) -> _Written:
    """Write the model. Raises IncompatibleModelError with the name of what cannot be written."""
    file = folder / "trimtab_model.lp"
    try:
        with file.open("w", encoding="utf-8") as stream, _with_objective(model):
            written = LPWriter().write(
                model,
                stream,
                symbolic_solver_labels=config.symbolic_solver_labels,
                allow_quadratic_objective=True,
                allow_quadratic_constraint=True,
            )
    except ValueError as error:
        message = f"trimtab: expected a linear or quadratic model, got: {error}"
        raise IncompatibleModelError(message) from error
    symbols = written.symbol_map
    columns = [
        (name, component)
        for name, component in symbols.bySymbol.items()
        if getattr(component, "is_variable_type", bool)() and component.name != _CONSTANT
    ]
    start = None
    if config.warm_start:
        values = ((name, variable.value) for name, variable in columns)
        pairs = ((name, value) for name, value in values if value is not None)
        start = write_start(folder / "trimtab_start.sol", pairs)
    return _Written(file=file, start=start, columns=columns, rows=symbols)


def _options(config: Any, extra: Mapping[str, Any], written: _Written) -> SolveOptions:
    """Return the options of the door. Raises IncompatibleModelError."""
    chosen = {name: extra[name] for name in _OPTIONS if extra.get(name) is not None}
    try:
        return SolveOptions(
            seconds=None
            if config.time_limit is None
            else max(config.time_limit, _LEAST_S),
            gap=config.rel_gap,
            absolute_gap=config.abs_gap,
            threads=config.threads,
            start=written.start,
            **chosen,
        )
    except ValueError as error:
        raise IncompatibleModelError(f"solver_options: {error}") from error


def _by_variable(written: _Written, on_solution: OnSolution | None) -> OnSolution | None:
    """Return the callback for values by the file's names."""
    if on_solution is None:
        return None

    def translated(found: Improvement) -> Any:
        values = ComponentMap(
            (variable, float(found.values.get(name, 0.0)))
            for name, variable in written.columns
        )
        return on_solution(replace(found, values=values))

    return translated


def _results(answer: Answer, model: Any, written: _Written, config: Any) -> Results:
    results = Results()
    results.solver_config, results.solver_log = config, answer.log
    results.termination_condition = _condition(answer)
    results.extra_info.verification = answer.checked
    results.extra_info.gap = answer.gap
    results.extra_info.job = answer.job
    has_objective = _active_objective(model) is not None
    if has_objective:
        results.objective_bound = answer.bound
    if not answer.has_solution:
        results.solution_status = SolutionStatus.noSolution
        results.solution_loader = NoTrimtabSolution(
            model, NoSolutionError.default_message
        )
        return results
    optimal = answer.is_optimal()
    results.solution_status = (
        SolutionStatus.optimal if optimal else SolutionStatus.feasible
    )
    if has_objective:
        results.incumbent_objective = answer.objective
    results.solution_loader = TrimtabSolution(model, written, answer)
    return results


def _condition(answer: Answer) -> TerminationCondition:
    if answer.reason in (Reason.FEASIBLE, Reason.NO_SOLUTION_FOUND):
        return _LIMITS.get(answer.limit or Limit.OTHER, _END.unknown)
    return _CONDITIONS.get(answer.reason, _END.error)


def _raise_or_load(results: Results, config: Any) -> None:
    """Raise and load in the order that Pyomo's own interfaces have."""
    optimal = results.solution_status is SolutionStatus.optimal
    if config.raise_exception_on_nonoptimal_result and not optimal:
        raise NoOptimalSolutionError
    if config.load_solutions:
        if results.solution_status is SolutionStatus.noSolution:
            raise NoFeasibleSolutionError
        results.solution_loader.load_solution()


class NoTrimtabSolution(NoSolutionSolutionLoader):
    """Loader of a solve without a solution; what is absent is named."""

    def get_duals(self, cons_to_load: Sequence[Any] | None = None) -> dict[Any, float]:
        """Raise NoDualsError."""
        raise NoDualsError

    def get_reduced_costs(
        self, vars_to_load: Sequence[Any] | None = None
    ) -> ComponentMap:
        """Raise NoReducedCostsError."""
        raise NoReducedCostsError


class TrimtabSolution(SolutionLoader):
    """Values, duals and reduced costs of one solve."""

    def __init__(self, model: Any, written: _Written, answer: Answer) -> None:
        self._pyomo_model = model
        self._answer = answer
        self._solution_id: int | None = None  # within the pool; None: the best
        self._columns = written.columns
        self._written = written

    def get_number_of_solutions(self) -> int:
        """Return the number of solutions: more than 1 with a pool."""
        return max(1, len(self._answer.pool))

    def get_solution_ids(self) -> list[int | None]:
        """Return the numbers of the solutions, from 0, best first; None for a single one."""
        count = self.get_number_of_solutions()
        return [None] if count == 1 else list(range(count))

    def _set_solution_id(self, solution_id: int | None) -> int | None:
        if solution_id not in (None, *range(self.get_number_of_solutions())):
            count = self.get_number_of_solutions()
            raise ValueError(
                f"solution: expected a number below {count}, got {solution_id!r}"
            )
        before, self._solution_id = self._solution_id, solution_id
        return before

    def get_vars(self, vars_to_load: Sequence[Any] | None = None) -> ComponentMap:
        """Return the values of these variables, or of all that the model uses."""
        chosen = self._solution_id or 0
        pool = self._answer.pool
        nonzeros = pool[chosen].nonzeros if chosen else self._answer.nonzeros
        return self._by_variable(nonzeros or {}, vars_to_load)

    def get_reduced_costs(
        self, vars_to_load: Sequence[Any] | None = None
    ) -> ComponentMap:
        """Return the reduced costs of an LP. Raises NoReducedCostsError."""
        if self._answer.reduced_costs is None:
            raise NoReducedCostsError
        return self._by_variable(self._answer.reduced_costs, vars_to_load)

    def get_duals(self, cons_to_load: Sequence[Any] | None = None) -> dict[Any, float]:
        """Return the duals of an LP; those of a range are the sum of its sides'.

        Raises NoDualsError.
        """
        if self._answer.duals is None:
            raise NoDualsError
        duals: dict[Any, float] = {}
        for label, component in self._written.rows.bySymbol.items():
            if label.startswith(("c_", "r_")) and hasattr(component, "body"):
                duals[component] = 0.0
        for label, value in self._answer.duals.items():
            component = self._written.row(label)
            if component is not None:
                duals[component] = duals.get(component, 0.0) + value
        if cons_to_load is None:
            return duals
        return {component: duals[component] for component in cons_to_load}

    def _by_variable(
        self, values: Mapping[str, float], chosen: Sequence[Any] | None
    ) -> ComponentMap:
        all_values = ComponentMap(
            (variable, float(values.get(name, 0.0))) for name, variable in self._columns
        )
        if chosen is None:
            return all_values
        return ComponentMap((variable, all_values[variable]) for variable in chosen)

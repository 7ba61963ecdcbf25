"""CP-SAT as a `Solver`: bounded integers only, scaled exactly (solvers.integer_model).

Its portfolio is made for eight workers and more; with one it uses no large neighbourhood search at
all. So `threads=1` means one worker, which is deterministic for a seed, and more threads mean at
least eight workers that share them.

The module `cp_model` of OR-Tools also imports pandas, half a second of processor time in each
process; the classes that it wraps hold all that is needed here.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np
from ortools.sat.python import cp_model_helper as cp_sat

from solvers.errors import SolverFailed, Unsupported
from solvers.integer_model import (
    NO_LOWER,
    NO_UPPER,
    IntegralModel,
    integral,
    why_not_integral,
)
from solvers.reporting import Watch, finish, result_before_solving
from solvers.types import (
    Floats,
    Injected,
    MilpModel,
    OnBound,
    OnIncumbent,
    SolveParams,
    SolveResult,
    Stop,
)
from trimtab.results import Limit, Reason

_STOP_POLL_S = 0.05
_PORTFOLIO_WORKERS = 8


class CpSatSolver:
    """Clause learning over integers, for models whose numbers it holds exactly."""

    name = "cp-sat"

    def why_not(self, model: MilpModel) -> str | None:
        """Return the reason why the model does not scale to 64-bit integers; None if it does."""
        return why_not_integral(model)

    def solve(
        self,
        model: MilpModel,
        params: SolveParams,
        *,
        hint: Floats | None = None,
        on_incumbent: OnIncumbent | None = None,
        on_bound: OnBound | None = None,
        stop: Stop | None = None,
        injected: Injected | None = None,
    ) -> SolveResult:
        """Solve as `Solver.solve` says. `injected` is not used; a node limit counts conflicts."""
        watch = Watch(
            model, params, on_incumbent=on_incumbent, on_bound=on_bound, stop=stop
        )
        why_not = self.why_not(model)
        if why_not is not None:
            raise Unsupported(self.name, why_not)
        early = result_before_solving(watch, model, params, solver=self.name)
        if early is not None:
            return early
        whole = integral(model)
        if whole.crossed is not None:
            return finish(
                watch,
                params,
                solver=self.name,
                reason=Reason.INFEASIBLE,
                detail=whole.crossed,
            )
        built = _build(model, whole, params)
        _add_hint(built, whole, hint)
        remaining_s = params.time_limit_s - watch.elapsed_s
        if remaining_s <= 0:
            return finish(
                watch, params, solver=self.name, reason=Reason.FEASIBLE, limit=Limit.TIME
            )
        solver = cp_sat.SolveWrapper()
        solver.set_parameters(_parameters(params, remaining_s))
        if len(built.objective.vars):
            solver.add_best_bound_callback(watch.dual_bound)
        solutions = _Solutions(watch, params)
        solver.add_solution_callback(solutions)
        with _stopping(solver, watch):
            response = solver.solve(built)
        solver.clear_solution_callback(solutions)
        return _result(response, built, model, watch, params)


def _build(model: MilpModel, whole: IntegralModel, params: SolveParams) -> Any:
    proto = cp_sat.CpModelProto()
    for lower, upper in zip(whole.lower, whole.upper, strict=True):
        proto.variables.add().domain.extend((lower, upper))
    indptr, indices, data = model.indptr.tolist(), model.indices, whole.data
    for row, (lower, upper) in enumerate(
        zip(whole.row_lower, whole.row_upper, strict=True)
    ):
        if lower == NO_LOWER and upper == NO_UPPER:
            continue
        begin, end = indptr[row], indptr[row + 1]
        linear = proto.constraints.add().linear
        linear.vars.extend(indices[begin:end].tolist())
        linear.coeffs.extend(data[begin:end].tolist())
        linear.domain.extend((lower, upper))
    costly = np.flatnonzero(whole.costs)
    if len(costly):
        objective = proto.objective
        objective.vars.extend(costly.tolist())
        objective.coeffs.extend(whole.costs[costly].tolist())
        objective.scaling_factor = float(1 / whole.cost_scale)
        objective.offset = float(Fraction(model.offset) * whole.cost_scale)
        if params.cutoff is not None:
            # Strictly better than the cutoff, in whole units of cost.
            most = (
                math.ceil(
                    (Fraction(params.cutoff) - Fraction(model.offset)) * whole.cost_scale
                )
                - 1
            )
            objective.domain.extend((-(2**62), max(-(2**62), min(2**62, most))))
    elif params.cutoff is not None and model.offset >= params.cutoff:
        # Every point costs the same, which exceeds the cutoff: an empty clause.
        proto.constraints.add().bool_or.literals.extend(())
    return proto


def _add_hint(built: Any, whole: IntegralModel, hint: Floats | None) -> None:
    if hint is None:
        return
    columns = np.flatnonzero(np.isfinite(hint))
    built.solution_hint.vars.extend(columns.tolist())
    built.solution_hint.values.extend(
        min(max(round(float(hint[column])), whole.lower[column]), whole.upper[column])
        for column in columns.tolist()
    )


def _parameters(params: SolveParams, remaining_s: float) -> Any:
    parameters = cp_sat.SatParameters()
    parameters.num_workers = (
        1 if params.threads == 1 else max(_PORTFOLIO_WORKERS, params.threads)
    )
    parameters.random_seed = params.seed
    parameters.relative_gap_limit = params.relative_gap
    parameters.absolute_gap_limit = params.absolute_gap
    parameters.log_search_progress = params.log
    parameters.catch_sigint_signal = False
    if math.isfinite(remaining_s):
        parameters.max_time_in_seconds = remaining_s
    if params.node_limit is not None:
        parameters.max_number_of_conflicts = params.node_limit
    if params.memory_limit_mb is not None:
        parameters.max_memory_in_mb = max(1, int(params.memory_limit_mb))
    return parameters


class _Solutions(cp_sat.SolutionCallback):  # type: ignore[misc]
    def __init__(self, watch: Watch, params: SolveParams) -> None:
        super().__init__()
        self._watch, self._params = watch, params

    def OnSolutionCallback(self) -> None:
        def handle() -> None:
            x = self.Response().solution
            self._watch.solution(np.fromiter(x, np.float64, len(x)))

        self._watch.guard(handle)
        best, enough = self._watch.best, self._params.objective_limit
        if self._watch.should_stop() or (
            enough is not None and best is not None and best <= enough
        ):
            self.StopSearch()


@contextmanager
def _stopping(solver: Any, watch: Watch) -> Iterator[None]:
    """Call `stop` in a thread while CP-SAT solves without the interpreter lock."""
    over = threading.Event()

    def poll() -> None:
        while not over.wait(_STOP_POLL_S):
            if watch.should_stop():
                # Repeatedly: a call before the search has begun has no effect.
                solver.stop_search()

    poller = threading.Thread(target=poll, name="cp-sat-stop", daemon=True)
    poller.start()
    try:
        yield
    finally:
        over.set()
        poller.join()


def _result(
    response: Any,
    built: Any,
    model: MilpModel,
    watch: Watch,
    params: SolveParams,
) -> SolveResult:
    name = response.status.name
    has_objective = len(built.objective.vars) > 0
    if name in ("OPTIMAL", "FEASIBLE"):
        x = response.solution
        watch.solution(np.fromiter(x, np.float64, len(x)))
        watch.dual_bound(
            float(response.best_objective_bound) if has_objective else model.offset
        )
    elif name == "UNKNOWN" and has_objective:
        watch.dual_bound(float(response.best_objective_bound))
    elif name == "MODEL_INVALID":
        raise SolverFailed(
            f"CP-SAT refused the model: {cp_sat.CpSatHelper.validate_model(built)[:300]}"
        )
    limit: Limit | None = None
    if name == "OPTIMAL":
        reason = Reason.OPTIMAL
    elif name == "INFEASIBLE":
        reason = Reason.INFEASIBLE
    else:
        reason = Reason.FEASIBLE
        if watch.stopped:
            limit = Limit.STOPPED
        elif watch.elapsed_s >= params.time_limit_s * 0.98:
            limit = Limit.TIME
        else:
            limit = Limit.OTHER
    return finish(
        watch,
        params,
        solver=CpSatSolver.name,
        reason=reason,
        limit=limit,
        detail=f"CP-SAT: {name.lower()}",
        nodes=int(response.num_branches),
    )

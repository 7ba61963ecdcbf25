"""Parts common to the solvers: a monitor of a running solve, and its result."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from solvers.types import (
    Floats,
    MilpModel,
    OnBound,
    OnIncumbent,
    SolveParams,
    Solver,
    SolveResult,
    Stop,
)
from trimtab.results import Limit, Reason, Termination

IMPROVEMENT = 1e-9  # relative; smaller steps are rounding errors and are not reported

PROOF_RELATIVE = 1e-6
PROOF_ABSOLUTE = 1e-9  # for optima of 0; objectives are scaled to costs near 1


class Watch:
    """Keeps incumbents and bounds monotone, calls `stop`, and catches exceptions of callbacks.

    An exception must not pass through native frames: it is stored, the solve is stopped, and
    `raise_pending` raises it once the solver has returned.
    """

    def __init__(
        self,
        model: MilpModel,
        params: SolveParams,
        *,
        on_incumbent: OnIncumbent | None,
        on_bound: OnBound | None,
        stop: Stop | None,
    ) -> None:
        self._model = model
        self._on_incumbent = on_incumbent
        self._on_bound = on_bound
        self._stop = stop
        self._began = time.monotonic()
        self._cutoff = math.inf if params.cutoff is None else params.cutoff
        self._lock = threading.Lock()
        self._pending: BaseException | None = None
        self.stopped = False
        self.best: float | None = None
        self.best_x: Floats | None = None
        self.bound = -math.inf
        self.solutions = 0

    @property
    def elapsed_s(self) -> float:
        """Seconds since the solve began."""
        return time.monotonic() - self._began

    def solution(self, x: Floats) -> None:
        """Take a solution claimed by the solver.

        Integers are rounded, and the objective is recomputed from the model.
        """
        x = rounded(self._model, x)
        objective = self._model.objective(x)
        if objective >= self._cutoff:
            return  # solvers may report such solutions on their way
        with self._lock:
            if self.best is not None and objective >= self.best - IMPROVEMENT * max(
                1.0, abs(self.best)
            ):
                return
            self.best, self.best_x = objective, x
            self.solutions += 1
            callback = self._on_incumbent
            if callback is not None:
                self._guard(lambda: callback(objective, x))

    def dual_bound(self, bound: float) -> None:
        """Take a dual bound claimed by the solver. Beyond 1e19 it means that there is none yet."""
        if not math.isfinite(bound) or abs(bound) >= 1e19:
            return
        with self._lock:
            if bound <= self.bound + IMPROVEMENT * max(
                1.0, abs(self.bound) if math.isfinite(self.bound) else 0.0
            ):
                return
            self.bound = bound
            callback = self._on_bound
            if callback is not None:
                self._guard(lambda: callback(bound))

    def should_stop(self) -> bool:
        """Return True once `stop` returned True or a callback raised."""
        if self._pending is not None:
            return True
        stop = self._stop
        if not self.stopped and stop is not None:

            def ask() -> None:
                self.stopped = bool(stop())

            self._guard(ask)
        return self.stopped or self._pending is not None

    def guard(self, call: Callable[[], None]) -> None:
        """Run a callback and store its exception until the solver has returned."""
        self._guard(call)

    def raise_pending(self) -> None:
        """Raise the stored exception of a callback."""
        if self._pending is not None:
            raise self._pending

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:  # re-raised by raise_pending
            if self._pending is None:
                self._pending = error


def rounded(model: MilpModel, x: Floats) -> Floats:
    """Return a copy of x with integers rounded, clipped to the bounds, without negative zeros."""
    x = np.where(model.integrality, np.rint(x), x)
    return np.clip(x, model.col_lower, model.col_upper) + 0.0


def finish(
    watch: Watch,
    params: SolveParams,
    *,
    solver: str,
    reason: Reason,
    limit: Limit | None = None,
    detail: str = "",
    nodes: int = 0,
) -> SolveResult:
    """Return the result of a solve, with the solver's claim corrected by its own numbers.

    OPTIMAL with an open gap (because a gap was allowed) becomes FEASIBLE with limit TARGET_GAP;
    FEASIBLE and NO_SOLUTION_FOUND are told apart by the incumbent.

    reason: the solver's claim.
    """
    watch.raise_pending()
    primal, x, bound = watch.best, watch.best_x, watch.bound
    if limit is Limit.OTHER and params.node_limit is not None:
        limit = Limit.NODES  # solvers report it as one of their own limits
    if reason is Reason.OPTIMAL:
        if primal is None:
            # With a cutoff, "optimal" may mean that the optimum does not beat it.
            reason = (
                Reason.INFEASIBLE if params.cutoff is not None else Reason.NUMERICAL_ERROR
            )
        elif primal - bound > max(PROOF_ABSOLUTE, PROOF_RELATIVE * abs(primal)):
            reason, limit = Reason.FEASIBLE, Limit.TARGET_GAP
    if reason is Reason.INFEASIBLE and params.cutoff is not None:
        bound = max(bound, params.cutoff)
    if reason in (Reason.FEASIBLE, Reason.NO_SOLUTION_FOUND):
        reason = Reason.NO_SOLUTION_FOUND if x is None else Reason.FEASIBLE
    if reason in (Reason.INFEASIBLE, Reason.UNBOUNDED, Reason.INFEASIBLE_OR_UNBOUNDED):
        primal, x = None, None
    if primal is not None and math.isfinite(bound):
        bound = min(bound, primal)  # a bound may overshoot the optimum by the tolerance
    return SolveResult(
        termination=Termination(reason=reason, limit=limit, detail=detail),
        primal=primal,
        dual_bound=bound if math.isfinite(bound) else None,
        x=x,
        solver=solver,
        elapsed_s=watch.elapsed_s,
        nodes=nodes,
        solutions=watch.solutions,
    )


def resolve_unbounded(
    solver: Solver,
    model: MilpModel,
    params: SolveParams,
    result: SolveResult,
    stop: Stop | None,
) -> SolveResult:
    """Tell unbounded from infeasible by a solve without costs, while time is left.

    A solver claims "unbounded" as soon as the relaxation is, even if there is no integer point.
    Other results are returned unchanged.
    """
    reason = result.termination.reason
    unsure = reason is Reason.INFEASIBLE_OR_UNBOUNDED or (
        reason is Reason.UNBOUNDED
        and (bool(model.integrality.any()) or model.extras is not None)
    )
    left_s = params.time_limit_s - result.elapsed_s
    if not unsure or left_s <= 0 or params.cutoff is not None:
        return result
    extras = None if model.extras is None else replace(model.extras, objective=None)
    feasibility = replace(
        model,
        c=np.zeros(model.n),
        offset=0.0,
        extras=extras if extras and extras.words else None,
    )
    point = solver.solve(
        feasibility, replace(params, time_limit_s=left_s, objective_limit=None), stop=stop
    )
    if point.x is not None:
        reason, detail = (
            Reason.UNBOUNDED,
            "the objective has no limit, and there is a solution",
        )
    elif point.termination.reason is Reason.INFEASIBLE:
        reason, detail = Reason.INFEASIBLE, "no solution exists, at any costs"
    else:
        reason, detail = (
            Reason.INFEASIBLE_OR_UNBOUNDED,
            "which one was not settled in time",
        )
    termination = Termination(
        reason=reason, detail=f"{result.termination.detail}; {detail}"
    )
    return replace(
        result, termination=termination, elapsed_s=result.elapsed_s + point.elapsed_s
    )


def result_before_solving(
    watch: Watch, model: MilpModel, params: SolveParams, *, solver: str
) -> SolveResult | None:
    """Return the result of a solve that need not begin; None for all others."""
    if model.n == 0:
        return without_variables(model, watch, params, solver=solver)
    crossing = crossing_sides(model)
    if crossing is not None:
        return finish(
            watch, params, solver=solver, reason=Reason.INFEASIBLE, detail=crossing
        )
    if watch.should_stop():
        return finish(
            watch, params, solver=solver, reason=Reason.FEASIBLE, limit=Limit.STOPPED
        )
    return None


def without_variables(
    model: MilpModel, watch: Watch, params: SolveParams, *, solver: str
) -> SolveResult:
    """Return the result for n = 0: the empty point, if every row admits 0.

    Solvers differ in their treatment of such models.
    """
    feasible = bool(np.all(model.row_lower <= 0.0) and np.all(model.row_upper >= 0.0))
    if not feasible or (params.cutoff is not None and model.offset >= params.cutoff):
        return finish(
            watch,
            params,
            solver=solver,
            reason=Reason.INFEASIBLE,
            detail="no variables, and a row excludes 0",
        )
    watch.solution(np.zeros(0))
    watch.dual_bound(model.offset)
    return finish(
        watch, params, solver=solver, reason=Reason.OPTIMAL, detail="no variables"
    )


def crossing_sides(model: MilpModel) -> str | None:
    """Return a sentence when a lower bound or side exceeds its upper one; None otherwise.

    Such a model has no solution, and solvers refuse it.
    """
    for what, lower, upper in (
        ("variable", model.col_lower, model.col_upper),
        ("row", model.row_lower, model.row_upper),
    ):
        crossing = np.flatnonzero(
            (lower > upper) | (lower == np.inf) | (upper == -np.inf)
        )
        if len(crossing):
            place = int(crossing[0])
            return (
                f"{what} {place + 1} has the lower side {lower[place]:g} "
                f"above the upper side {upper[place]:g}"
            )
    return None

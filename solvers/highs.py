"""HiGHS as a `Solver`.

Measured (HiGHS 1.16, 1 M nonzeros, set cover): `passModel` takes 0.23 s and holds the interpreter
lock, `run` releases it. In a MIP the callbacks come between steps of the search only, up to several
seconds apart at that size, and none comes from within an LP: for a hard deadline, kill the process.
"""

from __future__ import annotations

import math
import os
from typing import Any

import highspy
import numpy as np
from highspy import cb

from solvers.errors import SolverFailed, Unsupported
from solvers.highs_qp import pass_hessian, tangent, why_not_convex
from solvers.reporting import Watch, finish, resolve_unbounded, result_before_solving
from solvers.types import (
    FEASIBILITY_TOLERANCE,
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

_FEASTOL_OF_PRODUCTS = 1e-9
_SMALLEST = 1e-12  # coefficients up to here are dropped; the least that HiGHS allows
_STATUS = highspy.HighsModelStatus
_EVENT = cb.HighsCallbackType
REASONS = {
    _STATUS.kOptimal: (Reason.OPTIMAL, None),
    _STATUS.kInfeasible: (Reason.INFEASIBLE, None),
    _STATUS.kUnbounded: (Reason.UNBOUNDED, None),
    _STATUS.kUnboundedOrInfeasible: (Reason.INFEASIBLE_OR_UNBOUNDED, None),
    # An LP that cannot beat the cutoff.
    _STATUS.kObjectiveBound: (
        Reason.INFEASIBLE,
        None,
    ),
    _STATUS.kObjectiveTarget: (Reason.FEASIBLE, Limit.OTHER),
    _STATUS.kTimeLimit: (Reason.FEASIBLE, Limit.TIME),
    _STATUS.kIterationLimit: (Reason.FEASIBLE, Limit.OTHER),
    _STATUS.kSolutionLimit: (Reason.FEASIBLE, Limit.OTHER),  # or the node limit
    _STATUS.kInterrupt: (Reason.FEASIBLE, Limit.STOPPED),
    _STATUS.kMemoryLimit: (Reason.FEASIBLE, Limit.MEMORY),
}


class HighsSolver:
    """Branch and cut, LP, and convex quadratic objectives over continuous variables."""

    name = "highs"

    def why_not(self, model: MilpModel) -> str | None:
        """Return None for linear models and convex QPs, and the reason for others."""
        return None if model.extras is None else why_not_convex(model)

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
        """Solve as `Solver.solve` says. `injected` is called between dives and at nodes."""
        watch = Watch(
            model, params, on_incumbent=on_incumbent, on_bound=on_bound, stop=stop
        )
        if (why_not := self.why_not(model)) is not None:
            raise Unsupported(self.name, why_not)
        early = result_before_solving(watch, model, params, solver=self.name)
        if early is not None:
            return early
        engine = new_engine(params)
        pass_model(engine, model)
        form = model.extras.objective if model.extras is not None else None
        if form is not None and not pass_hessian(engine, form, model.n):
            raise SolverFailed("HiGHS refused the quadratic objective")
        if form is not None:
            # The bound is a tangent at the point, so violations of the point count twice.
            tight = min(_FEASTOL_OF_PRODUCTS, model.feasibility_tolerance)
            engine.setOptionValue("primal_feasibility_tolerance", tight)
        _pass_hint(engine, hint)
        _listen(engine, watch, injected if model.integrality.any() else None)
        remaining_s = params.time_limit_s - watch.elapsed_s
        if remaining_s <= 0:
            return finish(
                watch, params, solver=self.name, reason=Reason.FEASIBLE, limit=Limit.TIME
            )
        engine.setOptionValue("time_limit", remaining_s)
        run(engine)
        engine.setCallback(None, None)
        result = _result(engine, model, watch, params)
        return resolve_unbounded(self, model, params, result, stop)


def feasibility_jump(
    model: MilpModel, *, seconds: float, seed: int, on_incumbent: OnIncumbent
) -> None:
    """Run HiGHS without presolve, so that its feasibility jump comes first.

    Luteberget and Sartor (2022). On covers and packings with some hundred thousand nonzeros the
    jump ends within a second, where presolve alone takes longer. HiGHS continues with the root LP
    until `seconds` are over, and no callback stops that: kill the process once the solution is good
    enough.
    """
    params = SolveParams(time_limit_s=seconds, seed=seed)
    watch = Watch(model, params, on_incumbent=on_incumbent, on_bound=None, stop=None)
    engine = new_engine(params)
    engine.setOptionValue("presolve", "off")
    engine.setOptionValue("time_limit", seconds)
    pass_model(engine, model)
    _listen(engine, watch, None)
    run(engine)
    engine.setCallback(None, None)


def new_engine(params: SolveParams) -> Any:
    """Return a HiGHS with our parameters as its options."""
    # The bare engine: the convenience class creates objects that are not needed here.
    engine = highspy._core._Highs()
    for option, value in (
        ("output_flag", params.log),
        ("log_to_console", params.log),
        ("threads", params.threads),
        ("random_seed", params.seed),
        ("mip_rel_gap", params.relative_gap),
        ("mip_heuristic_effort", 0.3 if params.aggressive else 0.05),
        ("mip_abs_gap", params.absolute_gap),
        ("small_matrix_value", _SMALLEST),
        # solvers.scaling detects numbers that are too large.
        ("large_matrix_value", math.inf),
        ("objective_bound", math.inf if params.cutoff is None else params.cutoff),
        (
            "objective_target",
            -math.inf if params.objective_limit is None else params.objective_limit,
        ),
        (
            "mip_max_nodes",
            highspy.kHighsIInf
            if params.node_limit is None
            else min(params.node_limit, 2**31 - 1),
        ),
    ):
        if engine.setOptionValue(option, value) == highspy.HighsStatus.kError:
            raise SolverFailed(f"HiGHS refused the option {option} = {value!r}")
    return engine


def pass_model(engine: Any, model: MilpModel) -> None:
    """Pass the arrays; HiGHS copies them. Raises SolverFailed."""
    tolerance = model.feasibility_tolerance
    if tolerance != FEASIBILITY_TOLERANCE:
        engine.setOptionValue("primal_feasibility_tolerance", tolerance)
        # This one is of integrality too, and rounding must not break rows.
        strict = min(tolerance, FEASIBILITY_TOLERANCE)
        engine.setOptionValue("mip_feasibility_tolerance", strict)
    status = engine.passModel(
        model.n,
        model.m,
        model.nnz,
        int(highspy.MatrixFormat.kRowwise),
        int(highspy.ObjSense.kMinimize),
        model.offset,
        model.c,
        model.col_lower,
        model.col_upper,
        model.row_lower,
        model.row_upper,
        model.indptr,
        model.indices,
        model.data,
        model.integrality.astype(np.int32),
    )
    if status == highspy.HighsStatus.kError:
        raise SolverFailed(
            "HiGHS refused the model: expected finite numbers, each column once in a row and no "
            f"lower bound above its upper one, got {model.n} columns, {model.m} rows and "
            f"{model.nnz} coefficients"
        )


def _forget_threads() -> None:
    """Let a forked process start threads of its own: a fork copies the scheduler without them."""
    highspy.Highs.resetGlobalScheduler(False)


os.register_at_fork(after_in_child=_forget_threads)


def run(engine: Any) -> None:
    """Run HiGHS. Raises SolverFailed.

    When an earlier run of this process fixed another number of threads, that number is reset.
    """
    status = engine.run()
    if (
        status == highspy.HighsStatus.kError
        and engine.getModelStatus() == _STATUS.kNotset
    ):
        highspy.Highs.resetGlobalScheduler(True)
        status = engine.run()
    if status == highspy.HighsStatus.kError:
        raise SolverFailed(
            "HiGHS ended in an error, model status "
            f"{engine.modelStatusToString(engine.getModelStatus())}"
        )


def _pass_hint(engine: Any, hint: Floats | None) -> None:
    if hint is None:
        return
    columns = np.flatnonzero(np.isfinite(hint)).astype(np.int32)
    if len(columns) == len(hint):
        solution = highspy.HighsSolution()
        solution.col_value = hint
        engine.setSolution(solution)
    elif len(columns):
        values = np.ascontiguousarray(hint[columns], dtype=np.float64)
        engine.setSolution(len(columns), columns, values)


def _listen(engine: Any, watch: Watch, injected: Injected | None) -> None:
    """Subscribe to the events that the watch needs."""

    def on_event(event: Any, _message: str, out: Any, back: Any, _data: Any) -> None:
        def handle() -> None:
            if event == _EVENT.kCallbackMipImprovingSolution:
                watch.solution(np.array(out.mip_solution, dtype=np.float64))
            elif event == _EVENT.kCallbackMipUserSolution and injected is not None:
                news = injected()
                if news is not None and back is not None:
                    back.setSolution(np.ascontiguousarray(news, dtype=np.float64))
            if event in (
                _EVENT.kCallbackMipImprovingSolution,
                _EVENT.kCallbackMipInterrupt,
            ):
                watch.dual_bound(out.mip_dual_bound)

        watch.guard(handle)
        if back is not None and event in interrupts and watch.should_stop():
            back.user_interrupt = True

    interrupts = (
        _EVENT.kCallbackMipInterrupt,
        _EVENT.kCallbackSimplexInterrupt,
        _EVENT.kCallbackIpmInterrupt,
    )
    engine.setCallback(on_event, None)
    events = [_EVENT.kCallbackMipImprovingSolution, *interrupts]
    if injected is not None:
        events.append(_EVENT.kCallbackMipUserSolution)
    for event in events:
        engine.startCallback(event)


def _tangent_bound(model: MilpModel, watch: Watch, params: SolveParams) -> None:
    """Take the dual bound of a convex quadratic objective at the optimum (solvers.highs_qp)."""
    if watch.best_x is None:
        return
    engine = new_engine(params)
    pass_model(engine, tangent(model, watch.best_x))
    engine.setOptionValue("time_limit", max(0.1, params.time_limit_s - watch.elapsed_s))
    run(engine)
    if engine.getModelStatus() == _STATUS.kOptimal:
        watch.dual_bound(engine.getInfo().objective_function_value)


def _result(
    engine: Any, model: MilpModel, watch: Watch, params: SolveParams
) -> SolveResult:
    status = engine.getModelStatus()
    info = engine.getInfo()
    integer = bool(model.integrality.any())
    reason, limit = REASONS.get(status, (Reason.NUMERICAL_ERROR, None))
    feasible = info.primal_solution_status == int(
        highspy.SolutionStatus.kSolutionStatusFeasible
    )
    if feasible and reason in (Reason.OPTIMAL, Reason.FEASIBLE):
        watch.solution(np.array(engine.getSolution().col_value, dtype=np.float64))
    if integer:
        watch.dual_bound(info.mip_dual_bound)
    elif model.extras is not None:
        if reason is Reason.OPTIMAL and watch.best_x is not None:
            _tangent_bound(model, watch, params)
    elif reason is Reason.OPTIMAL:
        watch.dual_bound(info.objective_function_value)
    return finish(
        watch,
        params,
        solver=HighsSolver.name,
        reason=reason,
        limit=limit,
        detail=f"HiGHS: {engine.modelStatusToString(status)}",
        nodes=max(0, int(info.mip_node_count)) if integer else 0,
    )

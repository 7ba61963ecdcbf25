"""SCIP as a `Solver`, through PySCIPOpt.

Measured (SCIP 10, PySCIPOpt 6.3, 1 M nonzeros): building row by row from CSR takes 1.5 µs per
coefficient, as long as writing and reading a file. The solve runs without the interpreter lock
(`optimizeNogil`), so a watcher thread can call `stop` and interrupt; SCIP reacts between its steps,
which in presolve and at the root LP of such a model can take seconds: for a hard deadline, kill the
process.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
from pyscipopt import (
    SCIP_EVENTTYPE,
    SCIP_HEURTIMING,
    SCIP_PARAMSETTING,
    SCIP_RESULT,
    Eventhdlr,
    Expr,
    Heur,
    Model,
    quicksum,
)
from pyscipopt.scip import Term

from solvers.errors import SolverFailed
from solvers.extras import Extras, QuadraticForm
from solvers.reporting import Watch, finish, resolve_unbounded, result_before_solving
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
_INFINITY = 1e20
_FEASTOL = 1e-6  # the default
_LEAST_FEASTOL = 1e-7  # the least that the LP solver accepts
_FEASTOL_OF_PRODUCTS = 1e-7
_INJECTION_PRIORITY = 100_000  # above SCIP's own heuristics

_STATUS = MappingProxyType(
    {
        "optimal": (Reason.OPTIMAL, None),
        "infeasible": (Reason.INFEASIBLE, None),
        "unbounded": (Reason.UNBOUNDED, None),
        "inforunbd": (Reason.INFEASIBLE_OR_UNBOUNDED, None),
        "timelimit": (Reason.FEASIBLE, Limit.TIME),
        "nodelimit": (Reason.FEASIBLE, Limit.OTHER),
        "totalnodelimit": (Reason.FEASIBLE, Limit.OTHER),
        "stallnodelimit": (Reason.FEASIBLE, Limit.OTHER),
        "sollimit": (Reason.FEASIBLE, Limit.OTHER),
        "bestsollimit": (Reason.FEASIBLE, Limit.OTHER),
        "restartlimit": (Reason.FEASIBLE, Limit.OTHER),
        "primallimit": (Reason.FEASIBLE, Limit.OTHER),
        "duallimit": (Reason.FEASIBLE, Limit.OTHER),
        "memlimit": (Reason.FEASIBLE, Limit.MEMORY),
        "gaplimit": (Reason.FEASIBLE, Limit.TARGET_GAP),
        "userinterrupt": (Reason.FEASIBLE, Limit.STOPPED),
    }
)


class ScipSolver:
    """Branch, cut and price, with spatial branching for products; takes every model.

    Quadratic and indicator rows, quadratic objectives (convex or not, to the global optimum), SOS
    sets, semi-continuous and semi-integer columns.
    """

    name = "scip"

    def why_not(self, model: MilpModel) -> str | None:
        """Return None: it takes every model."""
        return None

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
        """Solve as `Solver.solve` says, with one thread: `threads` is ignored."""
        watch = Watch(
            model, params, on_incumbent=on_incumbent, on_bound=on_bound, stop=stop
        )
        early = result_before_solving(watch, model, params, solver=self.name)
        if early is not None:
            return early
        scip = Model()
        scip.hideOutput(not params.log)
        _set_params(scip, model, params)
        variables = _build(scip, model)
        if model.extras is not None:
            _add_extras(scip, variables, model.extras)
        if params.cutoff is not None:
            scip.setObjlimit(params.cutoff)
        _add_hint(scip, variables, hint, partial=model.extras is not None)
        _include_plugins(scip, variables, watch, injected)
        remaining_s = params.time_limit_s - watch.elapsed_s
        if remaining_s <= 0:
            return finish(
                watch, params, solver=self.name, reason=Reason.FEASIBLE, limit=Limit.TIME
            )
        if remaining_s < _INFINITY:
            scip.setParam("limits/time", remaining_s)
        with _interrupting(scip, watch):
            try:
                scip.optimizeNogil()
            except (
                Exception
            ) as error:  # PySCIPOpt raises bare ones for error codes of SCIP
                watch.raise_pending()
                raise SolverFailed(f"SCIP ended in an error: {error}") from error
        result = _result(scip, variables, watch, params)
        return resolve_unbounded(self, model, params, result, stop)


def _include_plugins(
    scip: Any, variables: list[Any], watch: Watch, injected: Injected | None
) -> None:
    scip.includeEventhdlr(
        _Events(watch, variables), "trimtab", "reports incumbents and bounds"
    )
    if injected is not None:
        scip.includeHeur(
            _Injection(watch, variables, injected),
            "trimtab_injected",
            "tries solutions from elsewhere",
            "Y",
            priority=_INJECTION_PRIORITY,
            freq=1,
            timingmask=SCIP_HEURTIMING.BEFORENODE
            | SCIP_HEURTIMING.DURINGLPLOOP
            | SCIP_HEURTIMING.AFTERLPNODE,
        )


def _set_params(scip: Any, model: MilpModel, params: SolveParams) -> None:
    """Set numeric parameters of this list only: some string parameters of SCIP name files."""
    settings: dict[str, float | int | bool] = {
        "misc/catchctrlc": False,
        "randomization/randomseedshift": params.seed,
        "limits/gap": params.relative_gap if params.relative_gap > 0 else 0.0,
        "limits/absgap": params.absolute_gap,
    }
    if params.node_limit is not None:
        settings["limits/nodes"] = params.node_limit
    if params.memory_limit_mb is not None:
        settings["limits/memory"] = params.memory_limit_mb
    if params.objective_limit is not None:
        settings["limits/primal"] = params.objective_limit
    if model.extras is not None:
        # The point is checked at 1e-6 with every row as written; inside, rows are parts of
        # expressions.
        settings["numerics/feastol"] = _FEASTOL_OF_PRODUCTS
    if model.feasibility_tolerance < _FEASTOL:
        settings["numerics/feastol"] = max(_LEAST_FEASTOL, model.feasibility_tolerance)
    if (relative := _whole_tolerance(model)) < float(
        settings.get("numerics/feastol", _FEASTOL)
    ):
        settings["numerics/feastol"] = relative
    for name, value in settings.items():
        scip.setParam(name, value)
    if params.aggressive:
        scip.setHeuristics(SCIP_PARAMSETTING.AGGRESSIVE)


def _whole_tolerance(model: MilpModel) -> float:
    """Return a tolerance below half a unit of whole rows.

    SCIP's tolerance is relative to the sides: 1e-6 of 1e8 is a hundred units.
    """
    whole = model.whole_rows > 0
    unit = model.whole_rows[whole]
    sides = np.concatenate([model.row_lower[whole] / unit, model.row_upper[whole] / unit])
    largest = float(np.abs(sides[np.isfinite(sides)]).max(initial=1.0))
    return min(_FEASTOL, max(_LEAST_FEASTOL, 0.25 / largest))


def _build(scip: Any, model: MilpModel) -> list[Any]:
    def side(value: float) -> float | None:
        return None if abs(value) >= _INFINITY else value

    binary = model.integrality & (model.col_lower == 0) & (model.col_upper == 1)
    kinds = np.where(binary, "B", np.where(model.integrality, "I", "C")).tolist()
    variables = [
        scip.addVar(name="", vtype=kind, lb=side(lower), ub=side(upper), obj=cost)
        for kind, lower, upper, cost in zip(
            kinds,
            model.col_lower.tolist(),
            model.col_upper.tolist(),
            model.c.tolist(),
            strict=True,
        )
    ]
    scip.addObjoffset(model.offset)
    terms = [Term(variable) for variable in variables]
    indptr, indices, data = (
        model.indptr.tolist(),
        model.indices.tolist(),
        model.data.tolist(),
    )
    for row, (lower, upper) in enumerate(
        zip(model.row_lower.tolist(), model.row_upper.tolist(), strict=True)
    ):
        if lower <= -_INFINITY and upper >= _INFINITY:
            continue
        begin, end = indptr[row], indptr[row + 1]
        body = Expr(_summed(terms, indices[begin:end], data[begin:end]))
        if not body.terms:
            # PySCIPOpt takes no row without variables, so this one holds 0·x.
            body = Expr({terms[0]: 0.0})
        if lower == upper:
            scip.addCons(body == lower)
        elif lower <= -_INFINITY:
            scip.addCons(body <= upper)
        elif upper >= _INFINITY:
            scip.addCons(body >= lower)
        else:
            scip.addCons((body >= lower) <= upper)
    return variables


def _summed(
    terms: list[Any], columns: list[int], values: list[float]
) -> dict[Any, float]:
    summed = {terms[column]: value for column, value in zip(columns, values, strict=True)}
    if len(summed) == len(columns):
        return summed
    summed = {}  # a column stands twice in the row
    for column, value in zip(columns, values, strict=True):
        summed[terms[column]] = summed.get(terms[column], 0.0) + value
    return summed


def _add_extras(scip: Any, variables: list[Any], extras: Extras) -> None:
    def form(part: QuadraticForm) -> Any:
        products = zip(
            part.first.tolist(), part.second.tolist(), part.values.tolist(), strict=True
        )
        return quicksum(value * variables[i] * variables[j] for i, j, value in products)

    if extras.objective is not None:
        # The objective of SCIP is linear: minimise a free variable above the form.
        above = scip.addVar(name="", vtype="C", lb=None, ub=None, obj=1.0)
        scip.addCons(form(extras.objective) - above <= 0.0)
    for row in extras.rows:
        linear = zip(row.columns.tolist(), row.values.tolist(), strict=True)
        body = quicksum(value * variables[column] for column, value in linear)
        if row.quadratic is not None:
            body = body + form(row.quadratic)
        for sided in _sides_of(body, row.lower, row.upper, variables[0]):
            if row.binary is None:
                scip.addCons(sided)
            else:
                scip.addConsIndicator(
                    sided, variables[row.binary], activeone=row.active_at == 1
                )
    for one in extras.sets:
        add = scip.addConsSOS1 if one.kind == 1 else scip.addConsSOS2
        add(
            [variables[column] for column in one.columns.tolist()],
            [float(k) for k in range(1, len(one.columns) + 1)],
        )
    for part in extras.semi:
        x, on = variables[part.column], scip.addVar(name="", vtype="B")
        for sided in _sides_of(1.0 * x, part.lower, part.upper, x):
            scip.addConsIndicator(sided, on, activeone=True)
        for sided in _sides_of(1.0 * x, 0.0, 0.0, x):
            scip.addConsIndicator(sided, on, activeone=False)


def _sides_of(body: Any, lower: float, upper: float, any_variable: Any) -> list[Any]:
    """Return one inequality per side: an indicator takes a single one."""
    body = body + 0.0 * any_variable  # a row may hold no variables
    sides = []
    if lower > -_INFINITY:
        sides.append(body >= lower)
    if upper < _INFINITY:
        sides.append(body <= upper)
    return sides


def _add_hint(
    scip: Any, variables: list[Any], hint: Floats | None, *, partial: bool
) -> None:
    if hint is None:
        return
    finite = np.isfinite(hint)
    if not finite.any():
        return
    # With extras SCIP has more variables than the model has columns.
    solution = (
        scip.createSol() if finite.all() and not partial else scip.createPartialSol()
    )
    for column in np.flatnonzero(finite).tolist():
        scip.setSolVal(solution, variables[column], float(hint[column]))
    scip.addSol(solution)


class _Events(Eventhdlr):  # type: ignore[misc]
    """Reports better solutions, and the bound when it may have changed."""

    _TYPES = (
        SCIP_EVENTTYPE.BESTSOLFOUND,
        SCIP_EVENTTYPE.DUALBOUNDIMPROVED,
        SCIP_EVENTTYPE.NODESOLVED,
    )

    def __init__(self, watch: Watch, variables: list[Any]) -> None:
        self._watch = watch
        self._variables = variables

    def eventinit(self) -> None:
        # No dropEvent in eventexit: it crashed while the model was freed, and SCIP frees its
        # handlers.
        for kind in self._TYPES:
            self.model.catchEvent(kind, self)

    def eventexec(self, event: Any) -> None:
        def handle() -> None:
            if event.getType() == SCIP_EVENTTYPE.BESTSOLFOUND:
                self._watch.solution(
                    _values(self.model, self.model.getBestSol(), self._variables)
                )
            self._watch.dual_bound(self.model.getDualbound())

        self._watch.guard(handle)
        if self._watch.should_stop():
            self.model.interruptSolve()


class _Injection(Heur):  # type: ignore[misc]
    """A heuristic that tries solutions of other processes."""

    def __init__(self, watch: Watch, variables: list[Any], injected: Injected) -> None:
        self._watch = watch
        self._variables = variables
        self._injected = injected

    def heurexec(self, heurtiming: Any, nodeinfeasible: bool) -> dict[str, Any]:
        outcome = {"result": SCIP_RESULT.DIDNOTRUN}

        def offer() -> None:
            news = self._injected()
            if news is None:
                return
            solution = self.model.createOrigSol(self)
            for variable, value in zip(self._variables, news.tolist(), strict=True):
                self.model.setSolVal(solution, variable, value)
            taken = self.model.trySol(
                solution, printreason=False, completely=False, free=True
            )
            outcome["result"] = SCIP_RESULT.FOUNDSOL if taken else SCIP_RESULT.DIDNOTFIND

        self._watch.guard(offer)
        return outcome


def _values(scip: Any, solution: Any, variables: list[Any]) -> Floats:
    return np.fromiter(
        (scip.getSolVal(solution, variable) for variable in variables),
        np.float64,
        len(variables),
    )


@contextmanager
def _interrupting(scip: Any, watch: Watch) -> Iterator[None]:
    """Call `stop` in a thread while SCIP runs without the interpreter lock."""
    over = threading.Event()

    def poll() -> None:
        while not over.wait(_STOP_POLL_S):
            if watch.should_stop():
                scip.interruptSolve()
                return

    poller = threading.Thread(target=poll, name="scip-stop", daemon=True)
    poller.start()
    try:
        yield
    finally:
        over.set()
        poller.join()


def _result(
    scip: Any, variables: list[Any], watch: Watch, params: SolveParams
) -> SolveResult:
    status = str(scip.getStatus())
    reason, limit = _STATUS.get(status, (Reason.NUMERICAL_ERROR, None))
    if reason in (Reason.OPTIMAL, Reason.FEASIBLE) and scip.getNSols() > 0:
        watch.solution(_values(scip, scip.getBestSol(), variables))
    bound = float(scip.getDualbound())
    if reason in (Reason.OPTIMAL, Reason.FEASIBLE) and math.isfinite(bound):
        watch.dual_bound(bound)
    return finish(
        watch,
        params,
        solver=ScipSolver.name,
        reason=reason,
        limit=limit,
        detail=f"SCIP: {status}",
        nodes=int(scip.getNTotalNodes()),
    )

"""SCIP behind our vocabulary, through PySCIPOpt.

Measured (SCIP 10, PySCIPOpt 6.3, 1 M nonzeros): building row by row from CSR takes 1.5 µs a coefficient, as long as
writing a file and reading it, and needs no file. The solve runs without the interpreter lock (`optimizeNogil`), so a
watcher thread can ask `stop` and interrupt; SCIP answers between its steps, which in presolve and at the root LP of such a
model can take seconds: who needs a hard deadline must kill the process.
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
from solvers.reporting import Watch, crossing_sides, finish, settled, without_variables
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
_FEASTOL, _LEAST_FEASTOL = (
    1e-6,
    1e-7,
)  # its default, and the least that its LP solver takes without complaint
_FEASTOL_OF_PRODUCTS = 1e-7

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
    """Branch, cut and price, with spatial branching for products. Takes every model: quadratic and indicator rows, quadratic
    objectives (convex or not, to the global optimum), SOS sets, semi-continuous and semi-integer columns."""

    name = "scip"

    def why_not(self, model: MilpModel) -> str | None:
        """It takes every model."""
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
        """See `Solver.solve`. One thread; `threads` is taken as advice and left alone."""
        watch = Watch(
            model, params, on_incumbent=on_incumbent, on_bound=on_bound, stop=stop
        )
        if model.n == 0:
            return without_variables(model, watch, params, solver=self.name)
        crossing = crossing_sides(model)
        if crossing is not None:
            return finish(
                watch, params, solver=self.name, reason=Reason.INFEASIBLE, detail=crossing
            )
        if watch.should_stop():
            return finish(
                watch, params, solver=self.name, reason=Reason.FEASIBLE, limit=Limit.STOPPED
            )
        scip = Model()
        scip.hideOutput(not params.log)
        _set_params(scip, model, params)
        if params.aggressive:
            scip.setHeuristics(SCIP_PARAMSETTING.AGGRESSIVE)
        variables = _build(scip, model)
        if model.extras is not None:
            _add_extras(scip, variables, model.extras)
        if params.cutoff is not None:
            # `setObjlimit` wants the objective without the constant, and so does `limits/primal`, which follows below.
            scip.setObjlimit(params.cutoff)
        _add_hint(scip, variables, hint, partial=model.extras is not None)
        events = _Events(watch, variables)
        scip.includeEventhdlr(events, "trimtab", "reports incumbents and bounds")
        if injected is not None:
            scip.includeHeur(
                _Injection(watch, variables, injected),
                "trimtab_injected",
                "tries solutions found elsewhere",
                "Y",
                priority=100_000,
                freq=1,
                timingmask=SCIP_HEURTIMING.BEFORENODE
                | SCIP_HEURTIMING.DURINGLPLOOP
                | SCIP_HEURTIMING.AFTERLPNODE,
            )
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
            ) as error:  # PySCIPOpt raises bare Exceptions for SCIP's error codes
                watch.raise_pending()
                raise SolverFailed(f"SCIP ended in an error: {error}") from error
        return settled(self, model, params, _result(scip, variables, watch, params), stop)


def _set_params(scip: Any, model: MilpModel, params: SolveParams) -> None:
    """Numbers only, from this list only: SCIP has string parameters that name files to read and write."""
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
        # The point is judged from outside at 1e-6 with every row as it is written; inside, rows are pieces of expressions.
        settings["numerics/feastol"] = _FEASTOL_OF_PRODUCTS
    if (relative := _whole_tolerance(model)) < float(
        settings.get("numerics/feastol", _FEASTOL)
    ):
        settings["numerics/feastol"] = relative
    for name, value in settings.items():
        scip.setParam(name, value)


def _whole_tolerance(model: MilpModel) -> float:
    """A tolerance that keeps whole rows whole: SCIP's is relative to the sides, and 1e-6 of 1e8 is a hundred units."""
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
            # PySCIPOpt takes no row without variables; 0·x stands for it.
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


def _summed(terms: list[Any], columns: list[int], values: list[float]) -> dict[Any, float]:
    summed = {terms[column]: value for column, value in zip(columns, values, strict=True)}
    if len(summed) == len(columns):
        return summed
    summed = {}  # a column came twice in the row
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
        # SCIP's objective is linear: a free variable above the form stands for it.
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
                    sided, variables[row.binary], activeone=row.awake_at == 1
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
    """One inequality a side: indicators take no more at once."""
    body = body + 0.0 * any_variable  # a row without variables is a row all the same
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
    known = np.isfinite(hint)
    if not known.any():
        return
    # With extras there are more variables than the model has columns.
    solution = scip.createSol() if known.all() and not partial else scip.createPartialSol()
    for column in np.flatnonzero(known).tolist():
        scip.setSolVal(solution, variables[column], float(hint[column]))
    scip.addSol(solution)


class _Events(Eventhdlr):  # type: ignore[misc]
    """Better solutions as they are found, and the bound at the moments when it may have moved."""

    _TYPES = (
        SCIP_EVENTTYPE.BESTSOLFOUND,
        SCIP_EVENTTYPE.DUALBOUNDIMPROVED,
        SCIP_EVENTTYPE.NODESOLVED,
    )

    def __init__(self, watch: Watch, variables: list[Any]) -> None:
        self._watch = watch
        self._variables = variables

    def eventinit(self) -> None:
        # No dropEvent in eventexit: it crashed once the model was going away, and SCIP frees its handlers itself.
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
    """A heuristic that hands over what another process found."""

    def __init__(self, watch: Watch, variables: list[Any], injected: Injected) -> None:
        self._watch = watch
        self._variables = variables
        self._injected = injected

    def heurexec(self, heurtiming: Any, nodeinfeasible: bool) -> dict[str, Any]:
        found = {"result": SCIP_RESULT.DIDNOTRUN}

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
            found["result"] = SCIP_RESULT.FOUNDSOL if taken else SCIP_RESULT.DIDNOTFIND

        self._watch.guard(offer)
        return found


def _values(scip: Any, solution: Any, variables: list[Any]) -> Floats:
    return np.fromiter(
        (scip.getSolVal(solution, variable) for variable in variables),
        np.float64,
        len(variables),
    )


@contextmanager
def _interrupting(scip: Any, watch: Watch) -> Iterator[None]:
    """Ask `stop` from a thread of its own while SCIP runs without the interpreter lock."""
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

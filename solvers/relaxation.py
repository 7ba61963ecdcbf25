"""The LP relaxation, kept warm: solved once from scratch, then again and again after small changes.

Measured at 4,000 × 5,000 with 1 M nonzeros (HiGHS 1.16, one thread): root 1.7 s, again with a local-branching row
0.1-0.6 s. Dual simplex with a warm basis always; nothing else is kept between solves. From scratch dual simplex is mostly
the faster one (set cover 1.7 s against 6.4 s), but on a combinatorial auction of 4,000 bids it takes 45 s where the interior
point method with crossover takes 0.5 s: so the root gets a second or two of simplex, then the interior point method.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import highspy
import numpy as np
from highspy import cb
from numpy.typing import NDArray

from solvers.errors import SolverFailed
from solvers.highs import REASONS, new_engine, pass_model, run
from solvers.types import Floats, MilpModel, SolveParams, Stop
from trimtab.results import Limit, Reason, Termination

_TIGHT = 1e-9  # feasibility tolerances, for answers that are checked outside
_SIMPLEX_S = 0.7
_SIMPLEX_S_PER_NONZERO = 4e-6


@dataclass(frozen=True, kw_only=True)
class LpSolution:
    """What the LP says. `x` and the duals are None unless it was solved to optimality."""

    termination: Termination
    objective: (
        float | None
    )  # minimising sense, offset included: a dual bound of the MILP when nothing was restricted
    x: Floats | None  # (n,)
    row_duals: Floats | None  # (m,) without the local-branching row
    reduced_costs: Floats | None  # (n,)
    iterations: int
    elapsed_s: float

    @property
    def optimal(self) -> bool:
        """True when x is an optimum of the LP that was asked for."""
        return self.termination.reason is Reason.OPTIMAL


@dataclass(frozen=True, kw_only=True, eq=False)
class Basis:
    """HiGHS' word (HighsBasisStatus) for each column and row of an optimum, to begin from there in another process."""

    columns: NDArray[np.int8]  # (n,)
    rows: NDArray[np.int8]  # (m,)


@dataclass(frozen=True, kw_only=True)
class DistanceRow:
    """A linear form of the distance to a point: weights·x + constant.

    Binaries count 0 or 1 (Fischetti and Lodi's local branching). A general integer that rests on a bound counts its
    way from there over its range; one in between cannot be said linearly and is left out, as are continuous ones.
    """

    weights: Floats  # (n,)
    constant: float

    def of(self, x: Floats) -> float:
        """The distance of x."""
        return float(self.weights @ x) + self.constant


def distance_row(model: MilpModel, point: Floats) -> DistanceRow:
    """The distance to `point`, an integer solution."""
    low, high = model.col_lower, model.col_upper
    ranged = model.integrality & np.isfinite(low) & np.isfinite(high) & (high > low)
    scale = np.zeros(model.n)
    scale[ranged] = 1.0 / (high[ranged] - low[ranged])
    at_low = ranged & (np.abs(point - low) < 0.5)
    at_high = ranged & (np.abs(point - high) < 0.5)
    weights = np.where(at_low, scale, 0.0) - np.where(at_high, scale, 0.0)
    constant = float(
        -(scale * np.where(at_low, low, 0.0)).sum()
        + (scale * np.where(at_high, high, 0.0)).sum()
    )
    return DistanceRow(weights=weights, constant=constant)


def safe_bound(model: MilpModel, row_duals: Floats) -> float:
    """No point of the relaxation is better than this, whatever the duals are (Neumaier and Shcherbina 2004).

    Weak duality: with d = c - Aᵀy, c·x = y·(Ax) + d·x, and both terms are bounded by the sides and bounds that the signs point
    at. It only asks for y, so an LP that was solved to a tolerance is no worse a witness than an exact one. Where an absent
    side or bound would be used, y or d within 1e-9 of the costs' size counts as 0; a larger one gives -inf. 1e-9 relative
    is kept back for rounding.
    """
    size = max(1.0, float(np.abs(model.c).max(initial=0.0)))
    y = np.where(
        row_duals > 0, np.where(np.isfinite(model.row_lower), row_duals, 0.0), row_duals
    )
    y = np.where((y < 0) & ~np.isfinite(model.row_upper), 0.0, y)
    sides = np.where(y > 0, model.row_lower, np.where(y < 0, model.row_upper, 0.0))
    entries = model.data * y[model.row_of_entry]
    d = model.c - np.bincount(model.indices, weights=entries, minlength=model.n)
    rest = np.where(d > 0, model.col_lower, np.where(d < 0, model.col_upper, 0.0))
    absent = ~np.isfinite(rest)
    if bool((np.abs(d[absent]) > 1e-9 * size).any()):
        return -math.inf
    products = np.concatenate([y * sides, d * np.where(absent, 0.0, rest)])
    value = float(math.fsum(products)) + model.offset
    return value - 1e-9 * max(1.0, abs(value), float(np.abs(products).max(initial=0.0)))


class Relaxation:
    """The LP of a model inside one HiGHS. Not for two threads at once."""

    def __init__(
        self, model: MilpModel, *, seed: int = 0, threads: int = 1, tight: bool = False
    ) -> None:
        if model.n == 0:
            raise ValueError("the relaxation wants at least one variable; none came")
        self._model = model
        self._engine = new_engine(SolveParams(seed=seed, threads=threads))
        # With integrality still in place HiGHS would run its MIP solver.
        self._engine.setOptionValue("solve_relaxation", True)
        if tight:
            for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
                self._engine.setOptionValue(option, _TIGHT)
        pass_model(self._engine, model)
        self._root: LpSolution | None = None
        self._row_weights: Floats | None = (
            None  # of the local-branching row, once there is one
        )
        self._stop: Stop | None = None
        self._stop_error: BaseException | None = None
        self._engine.setCallback(self._on_event, None)
        self._engine.startCallback(cb.HighsCallbackType.kCallbackSimplexInterrupt)
        self._engine.startCallback(cb.HighsCallbackType.kCallbackIpmInterrupt)

    @property
    def solved_root(self) -> LpSolution | None:
        """The root's optimum, if it has been asked for and found."""
        return self._root if self._root is not None and self._root.optimal else None

    def root(
        self, *, time_limit_s: float = math.inf, stop: Stop | None = None
    ) -> LpSolution:
        """The plain relaxation, solved at most once to optimality."""
        if self._root is None or not self._root.optimal:
            self._relax_row()
            began = time.monotonic()
            patience_s = _SIMPLEX_S + _SIMPLEX_S_PER_NONZERO * self._model.nnz
            self._root = self._solve(min(time_limit_s, patience_s), stop)
            for solver in ("ipm", "simplex"):
                left_s = time_limit_s - (time.monotonic() - began)
                if self._root.termination.limit is not Limit.TIME or left_s <= 0:
                    break
                self._root = self._solve(
                    left_s if solver == "simplex" else 0.7 * left_s, stop, solver=solver
                )
        return self._root

    def basis(self) -> Basis:
        """Of the last solve."""
        found = self._engine.getBasis()
        return Basis(
            columns=np.array([int(status) for status in found.col_status], dtype=np.int8),
            rows=np.array([int(status) for status in found.row_status], dtype=np.int8)[
                : self._model.m
            ],
        )

    def adopt(self, root: LpSolution, basis: Basis) -> None:
        """Take over a root that was solved elsewhere: later solves begin from its basis."""
        if self._row_weights is not None:
            raise RuntimeError("adopt() comes before the first distance row")
        warm = highspy.HighsBasis()
        warm.col_status = [
            highspy.HighsBasisStatus(status) for status in basis.columns.tolist()
        ]
        warm.row_status = [
            highspy.HighsBasisStatus(status) for status in basis.rows.tolist()
        ]
        warm.valid = True
        self._engine.setBasis(warm)
        self._root = root

    def near(
        self,
        point: Floats,
        distance: float,
        *,
        time_limit_s: float = math.inf,
        stop: Stop | None = None,
    ) -> LpSolution:
        """The relaxation with `distance_row(point) ≤ distance`: the LB-LP of LB-RELAX.

        Where the root's optimum lies within the distance it is the answer, and nothing is solved.
        """
        row = distance_row(self._model, point)
        if (
            self._root is not None
            and self._root.x is not None
            and row.of(self._root.x) <= distance
        ):
            return self._root
        self._set_row(row, distance)
        try:
            return self._solve(time_limit_s, stop)
        finally:
            self._relax_row()

    def within(
        self,
        lower: Floats,
        upper: Floats,
        *,
        time_limit_s: float = math.inf,
        stop: Stop | None = None,
    ) -> LpSolution:
        """The relaxation over the box [lower, upper] instead of the model's bounds. The bounds are put back afterwards."""
        changed = np.flatnonzero(
            (lower != self._model.col_lower) | (upper != self._model.col_upper)
        ).astype(np.int32)
        self._change_bounds(changed, lower, upper)
        try:
            return self._solve(time_limit_s, stop)
        finally:
            self._change_bounds(changed, self._model.col_lower, self._model.col_upper)

    def complete(
        self, point: Floats, *, time_limit_s: float = math.inf, stop: Stop | None = None
    ) -> LpSolution:
        """Best continuous values beside the integers of `point`, rounded.

        A solver's integers are integers only within 1e-6; rounding them can push rows out by far more where
        coefficients are large. This solves what is left for the continuous variables.
        """
        integral = self._model.integrality
        lower = np.where(integral, np.rint(point), self._model.col_lower)
        upper = np.where(integral, np.rint(point), self._model.col_upper)
        solution = self.within(lower, upper, time_limit_s=time_limit_s, stop=stop)
        return (
            solution
            if solution.x is None
            else replace(solution, x=np.clip(solution.x, lower, upper) + 0.0)
        )

    def _solve(
        self, time_limit_s: float, stop: Stop | None, *, solver: str = "simplex"
    ) -> LpSolution:
        began = time.monotonic()
        engine = self._engine
        engine.setOptionValue("solver", solver)
        # HiGHS counts its limit from the first run of the instance, not of this one.
        engine.setOptionValue("time_limit", engine.getRunTime() + time_limit_s)
        self._stop, self._stop_error = stop, None
        run(engine)
        self._stop = None
        if self._stop_error is not None:
            raise self._stop_error
        status, info = engine.getModelStatus(), engine.getInfo()
        reason, limit = REASONS.get(status, (Reason.NUMERICAL_ERROR, None))
        optimal = reason is Reason.OPTIMAL
        if reason is Reason.FEASIBLE:
            reason = (
                Reason.NO_SOLUTION_FOUND
            )  # a point half-way through the simplex is of no use to anyone
        solution = engine.getSolution() if optimal else None
        if solution is not None and len(solution.col_value) != self._model.n:
            raise SolverFailed("HiGHS says optimal and gives no solution")
        return LpSolution(
            termination=Termination(
                reason=reason,
                limit=limit,
                detail=f"HiGHS: {engine.modelStatusToString(status)}",
            ),
            objective=float(info.objective_function_value) if optimal else None,
            x=None if solution is None else np.array(solution.col_value, dtype=np.float64),
            row_duals=None
            if solution is None
            else np.array(solution.row_dual, dtype=np.float64)[: self._model.m],
            reduced_costs=None
            if solution is None
            else np.array(solution.col_dual, dtype=np.float64),
            iterations=max(0, int(info.simplex_iteration_count)),
            elapsed_s=time.monotonic() - began,
        )

    def _on_event(
        self,
        _event: object,
        _message: str,
        _out: object,
        back: cb.HighsCallbackInput,
        _data: object,
    ) -> None:
        try:
            # Said each time: HiGHS keeps the flag of an earlier run.
            back.user_interrupt = self._stop_error is not None or (
                self._stop is not None and bool(self._stop())
            )
        except (
            BaseException
        ) as error:  # must not fly through native frames; _solve raises it
            self._stop_error = error
            back.user_interrupt = True

    def _set_row(self, row: DistanceRow, distance: float) -> None:
        if self._row_weights is None:
            columns = np.flatnonzero(row.weights).astype(np.int32)
            self._engine.addRow(
                -math.inf,
                distance - row.constant,
                len(columns),
                columns,
                row.weights[columns],
            )
        else:
            # In place: the basis stays, and the next solve starts from it.
            for column in np.flatnonzero(row.weights != self._row_weights).tolist():
                self._engine.changeCoeff(self._model.m, column, float(row.weights[column]))
            self._engine.changeRowBounds(self._model.m, -math.inf, distance - row.constant)
        self._row_weights = row.weights

    def _relax_row(self) -> None:
        if self._row_weights is not None:
            self._engine.changeRowBounds(self._model.m, -math.inf, math.inf)

    def _change_bounds(
        self,
        columns: np.ndarray[tuple[int], np.dtype[np.int32]],
        lower: Floats,
        upper: Floats,
    ) -> None:
        if len(columns):
            low, high = (
                np.ascontiguousarray(lower[columns]),
                np.ascontiguousarray(upper[columns]),
            )
            if (
                self._engine.changeColsBounds(len(columns), columns, low, high)
                == highspy.HighsStatus.kError
            ):
                raise ValueError("bounds want lower ≤ upper, not NaN")

"""Solution pool: the k best solutions, or diverse ones, each checked exactly.

Solutions are told apart by their integer variables. After the search has proved its optimum, the
next best is the optimum of the model with one more row for each solution so far: at least
`distance` integer variables differ from it. A binary variable contributes x or 1 - x; a general
integer two indicator variables, for above and below. Without a proof, or without time, the pool
holds what the search reported on its way.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import sparse

from search.domains.ilp.problem import IlpProblem
from search.domains.ilp.search.polish import candidates
from search.domains.ilp.search.state import ABSOLUTE_GAP, PROOF_GAP, cutoff_of
from search.domains.ilp.solution import Pooled, SolutionPool, differing
from search.isolation import Message, NativeCrash, NativeError, NativeProcess, Say
from solvers.scaling import ScaledModel
from solvers.table import make_solver
from solvers.types import Bools, Floats, MilpModel, SolveParams
from trimtab.results import Reason, VerificationStatus
from trimtab.specs.ilp import PoolOptions

_MOST_RANGE = 1e7  # of a general integer, so that its indicator rows keep their digits
_SAME = 1e-9  # relative, of objectives
_ROUNDS = 5  # of bounds implied by rows

_POLL_S = 0.05
_MOST_NOTE = 300  # characters


@dataclass(frozen=True, kw_only=True)
class Further:
    """Engine and limits of the solves for further solutions."""

    engine: str
    threads: int
    seed: int
    seconds: float
    cutoff: float | None = None  # in the minimised sense


class PoolBuilder:
    """Builds the pool of one run around its best solution `x` (n,), in the user's units."""

    def __init__(
        self,
        problem: IlpProblem,
        scaled: ScaledModel,
        options: PoolOptions,
        *,
        x: Floats,
    ) -> None:
        self._problem, self._scaled, self._options = problem, scaled, options
        self._model = problem.model
        self._integer = np.flatnonzero(self._model.integrality)
        self._sign = -1.0 if self._model.maximize else 1.0
        self._best = self._objective(x)
        self._solutions: list[Pooled] = []
        self._proved = 0
        self._complete = False
        self._note = ""
        self._offer(x)

    def build(
        self,
        reported: Iterable[Floats],
        *,
        optimal: bool,
        further: Further,
        over: Callable[[], bool],
    ) -> SolutionPool:
        """Return the pool.

        Args:
            reported: Solutions (n,) that the search reported, in scaled units.
            optimal: The best solution is proved.
            further: Engine and limits for further solutions.
            over: True when the run's time is over.
        """
        if len(self._integer) == 0:
            self._note = "the model has no integer variables to tell solutions apart"
            return self._pool()
        if optimal and self._scaled.doubt:
            self._note = f"further solutions are not proved: {self._scaled.doubt}"
        elif optimal:
            self._proved = len(self._solutions)
            self._enumerate(further, over)
        else:
            self._note = "the best solution is not proved: these were found on the way"
        if not self._complete:
            self._fill(reported)
        return self._pool()

    def _pool(self) -> SolutionPool:
        return SolutionPool(
            solutions=tuple(
                sorted(self._solutions, key=lambda one: self._sign * one.objective)
            ),
            distance=self._options.distance,
            proved=self._proved,
            complete=self._complete,
            note=self._note,
        )

    def _enumerate(self, further: Further, over: Callable[[], bool]) -> None:
        """Take in one further solution after the other, while each is proved the best."""
        lower, upper = implied_bounds(self._scaled.model)
        open_ = self._model.integrality & ~(upper - lower <= _MOST_RANGE)
        if bool(open_.any()):
            name = self._model.column_name(int(np.flatnonzero(open_)[0]))
            self._note = (
                f"integer variable {name[:80]!r} has no bounds within {_MOST_RANGE:g}: the pool "
                "holds the solutions found on the way; give it bounds"
            )
            return
        self._note = "the time was over before the pool was full"
        if over() or self._options.size == len(self._solutions):
            return
        work = further_solutions(
            self._scaled.model,
            self._scaled.enter(self._solutions[0].x),
            bounds=(lower, upper),
            options=self._options,
            further=replace(further, cutoff=self._inner_cutoff()),
            folder=self._problem.workdir,
        )
        process = NativeProcess("the solution pool", work)
        try:
            while not over():
                alive = process.alive
                if not all([self._take_in(message) for message in process.messages()]):
                    return
                if not alive:
                    break
                select.select([process], [], [], _POLL_S)
            else:
                return
            if not self._complete and len(self._solutions) < self._options.size:
                process.raise_for_end()
        except (NativeCrash, NativeError) as error:
            self._note = f"{error}"[:_MOST_NOTE]
        finally:
            process.close()

    def _take_in(self, message: Message) -> bool:
        """Take in a message of the process; return False when nothing further is to come."""
        if message.get("complete"):
            self._complete, self._note = True, ""
            return False
        if "ended" in message:
            self._note = f"a further solution was not proved ({message['ended']})"
            return False
        path = self._problem.workdir / str(message["point"])
        x = self._scaled.restore(np.load(path, allow_pickle=False))
        path.unlink()
        if not self._offer(x):
            self._note = "a further solution failed the exact check"
            return False
        self._proved = len(self._solutions)
        if self._proved == self._options.size:
            self._note = ""
            return False
        return True

    def _inner_cutoff(self) -> float | None:
        worst = self._worst_allowed()
        inner = cutoff_of(self._scaled.model, worst)
        return inner if math.isfinite(inner) else None

    def _worst_allowed(self) -> float | None:
        """Return the worst objective that the pool takes, in the user's sense."""
        options, spec = self._options, self._problem.spec
        allowed = []
        if options.gap is not None:
            allowed.append(self._best + self._sign * options.gap * abs(self._best))
        if options.absolute_gap is not None:
            allowed.append(self._best + self._sign * options.absolute_gap)
        if spec.cutoff is not None:
            allowed.append(spec.cutoff)
        if not allowed:
            return None
        return min(allowed) if self._sign > 0 else max(allowed)

    def _fill(self, reported: Iterable[Floats]) -> None:
        """Offer reported solutions, best first."""
        points = [self._scaled.restore(x) for x in reported]
        for x in sorted(points, key=lambda x: self._sign * self._objective(x)):
            if len(self._solutions) >= self._options.size:
                return
            self._offer(x)

    def _offer(self, x: Floats) -> bool:
        """Take a solution in if it is apart from the others and the exact check accepts it."""
        for candidate in candidates(self._scaled, x, self._problem.workdir):
            objective = self._objective(candidate)
            worst = self._worst_allowed()
            beyond = 0.0 if worst is None else self._sign * (objective - worst)
            if beyond > _SAME * max(1.0, abs(objective)) or not self._is_apart(candidate):
                continue
            values = self._problem.nonzeros_by_name(candidate)
            verdict = self._problem.checker.check(values, claimed=objective)
            if verdict.status is VerificationStatus.VALID:
                exactly = bool(verdict.checks.get("exactly_feasible"))
                self._solutions.append(
                    Pooled(x=candidate, objective=objective, exactly_feasible=exactly)
                )
                return True
        return False

    def _is_apart(self, x: Floats) -> bool:
        return all(
            differing(x, one.x, self._integer) >= self._options.distance
            for one in self._solutions
        )

    def _objective(self, x: Floats) -> float:
        return self._model.in_user_sense(self._model.objective(x)) + 0.0


def further_solutions(
    model: MilpModel,
    best: Floats,
    *,
    bounds: tuple[Floats, Floats],
    options: PoolOptions,
    further: Further,
    folder: Path,
) -> Callable[[Say], None]:
    """Return the work of the pool's process: solve for one further solution after the other.

    best, bounds: (n,), in the units of `model`. Points are left as files in `folder`.
    """

    def work(say: Say) -> None:
        until = time.monotonic() + further.seconds
        points = [best]
        while len(points) < options.size:
            params = SolveParams(
                time_limit_s=max(0.01, until - time.monotonic()),
                threads=further.threads,
                seed=further.seed,
                relative_gap=PROOF_GAP,
                absolute_gap=ABSOLUTE_GAP,
                cutoff=further.cutoff,
            )
            apart_from = apart(model, points, bounds, options.distance)
            result = make_solver(further.engine).solve(apart_from, params)
            ended = result.termination
            if ended.reason is Reason.INFEASIBLE:
                say({"complete": True})
                return
            if ended.reason is not Reason.OPTIMAL or result.x is None:
                say({"ended": ended.detail or ended.reason.value})
                return
            name = f"pool-{len(points)}.npy"
            np.save(folder / name, result.x[: model.n])
            points.append(result.x[: model.n])
            say({"point": name})

    return work


def implied_bounds(model: MilpModel) -> tuple[Floats, Floats]:
    """Return bounds (n,), (n,) of the columns, tightened by the rows where they are absent."""
    lower, upper = model.col_lower.copy(), model.col_upper.copy()
    entries = np.flatnonzero(model.data)
    row, column = model.row_of_entry[entries], model.indices[entries]
    data = model.data[entries]
    absent = ~(np.isfinite(lower) & np.isfinite(upper)) & model.integrality
    for _ in range(_ROUNDS):
        if not bool(absent.any()):
            break
        for side, sign in ((model.row_upper, 1.0), (-model.row_lower, -1.0)):
            _tighten(sign * data, row, column, side, lower, upper)
        whole = model.integrality
        lower = np.where(whole, np.ceil(lower - 1e-6), lower)
        upper = np.where(whole, np.floor(upper + 1e-6), upper)
        absent = ~(np.isfinite(lower) & np.isfinite(upper)) & model.integrality
    return lower, upper


def _tighten(
    data: Floats,
    row: np.ndarray,
    column: np.ndarray,
    side: Floats,
    lower: Floats,
    upper: Floats,
) -> None:
    """Tighten bounds by the rows Σ data · x ≤ side, in place, where all other terms have one."""
    least = np.where(data > 0, data * lower[column], data * upper[column])
    finite = np.isfinite(least)
    sums = np.bincount(row, weights=np.where(finite, least, 0.0), minlength=len(side))
    open_terms = np.bincount(row, weights=~finite, minlength=len(side))
    alone = np.isfinite(side[row]) & (open_terms[row] - ~finite == 0)
    rest = sums[row] - np.where(finite, least, 0.0)
    with np.errstate(over="ignore"):
        limit = (side[row] - rest) / data
    above, below = alone & (data > 0), alone & (data < 0)
    np.minimum.at(upper, column[above], limit[above])
    np.maximum.at(lower, column[below], limit[below])


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Rows that keep a model apart from one point, over its columns and new ones."""

    rows: np.ndarray
    columns: np.ndarray
    data: np.ndarray
    lower: list[float]
    upper: list[float]
    new_columns: int


def apart(
    model: MilpModel,
    points: list[Floats],
    bounds: tuple[Floats, Floats],
    least: int,
) -> MilpModel:
    """Return the model with rows: at least `least` integer columns differ from each point (n,).

    The columns of the model come first; indicator columns follow.
    """
    integer = model.integrality
    matrix = model.matrix
    binary = integer & (model.col_lower == 0) & (model.col_upper == 1)
    n, m = model.n, model.m
    parts: list[_Block] = []
    for point in points:
        parts.append(_block(np.rint(point), binary, integer & ~binary, bounds, n, least))
        n += parts[-1].new_columns
        m += len(parts[-1].lower)
    row_start = model.m
    rows, columns, data = [], [], []
    for part in parts:
        rows.append(part.rows + row_start)
        columns.append(part.columns)
        data.append(part.data)
        row_start += len(part.lower)
    added = sparse.csr_matrix(
        (np.concatenate(data), (np.concatenate(rows), np.concatenate(columns))),
        shape=(m, n),
    )
    old = sparse.csr_matrix(
        (
            matrix.data,
            matrix.indices,
            np.concatenate([matrix.indptr, np.full(m - model.m, matrix.indptr[-1])]),
        ),
        shape=(m, n),
    )
    whole = (old + added).tocsr()
    whole.sort_indices()
    new = n - model.n

    def with_rows(sides: Floats, of: Callable[[_Block], list[float]]) -> Floats:
        return np.concatenate([sides, *(np.array(of(part)) for part in parts)])

    return MilpModel(
        c=np.concatenate([model.c, np.zeros(new)]),
        col_lower=np.concatenate([model.col_lower, np.zeros(new)]),
        col_upper=np.concatenate([model.col_upper, np.ones(new)]),
        integrality=np.concatenate([integer, np.ones(new, dtype=bool)]),
        indptr=whole.indptr.astype(np.int32),
        indices=whole.indices.astype(np.int32),
        data=whole.data,
        row_lower=with_rows(model.row_lower, lambda part: part.lower),
        row_upper=with_rows(model.row_upper, lambda part: part.upper),
        offset=model.offset,
        maximize=model.maximize,
        extras=model.extras,
        cost_factor=model.cost_factor,
        row_factors=None
        if model.row_factors is None
        else np.concatenate([model.row_factors, np.ones(m - model.m)]),
        feasibility_tolerance=model.feasibility_tolerance,
    )


def _block(
    point: Floats,
    binary: Bools,
    general: Bools,
    bounds: tuple[Floats, Floats],
    n: int,
    least: int,
) -> _Block:
    """Return the rows for one point; new columns are numbered from n."""
    rows: list[int] = []
    columns: list[int] = []
    data: list[float] = []
    lower: list[float] = []
    upper: list[float] = []

    def entry(row: int, column: int, value: float) -> None:
        rows.append(row)
        columns.append(column)
        data.append(value)

    # Row 0: Σ [differs] ≥ least.
    ones = 0
    for column in np.flatnonzero(binary).tolist():
        at_one = point[column] > 0.5
        ones += at_one
        entry(0, column, -1.0 if at_one else 1.0)
    lower.append(float(least - ones))
    upper.append(math.inf)
    new = 0

    def side(column: int, coefficient: float, low: float, high: float) -> int:
        """Add a row column + coefficient · indicator within [low, high]; return the indicator."""
        nonlocal new
        indicator, row = n + new, len(lower)
        new += 1
        entry(row, column, 1.0)
        entry(row, indicator, coefficient)
        lower.append(low)
        upper.append(high)
        entry(0, indicator, 1.0)
        return indicator

    for column in np.flatnonzero(general).tolist():
        value = float(point[column])
        low, high = float(bounds[0][column]), float(bounds[1][column])
        indicators = []
        if value < high:  # above: x ≥ value + 1 where the indicator is 1
            above = side(column, low - value - 1.0, low, math.inf)
            indicators.append(above)
        if value > low:  # below: x ≤ value - 1
            below = side(column, high - value + 1.0, -math.inf, high)
            indicators.append(below)
        if len(indicators) == 2:
            row = len(lower)
            for indicator in indicators:
                entry(row, indicator, 1.0)
            lower.append(-math.inf)
            upper.append(1.0)
    return _Block(
        rows=np.array(rows, dtype=np.int64),
        columns=np.array(columns, dtype=np.int64),
        data=np.array(data, dtype=np.float64),
        lower=lower,
        upper=upper,
        new_columns=new,
    )


def pool_summary(pool: SolutionPool) -> dict[str, object]:
    """Return the pool's figures for the summary of the result."""
    return {
        "solutions": len(pool.solutions),
        "proved": pool.proved,
        "complete": pool.complete,
        "note": pool.note,
    }

"""Solution pool: the k best solutions, or diverse ones, each checked exactly.

Solutions are told apart by their integer variables. After the search has proved its optimum, the
next best is the optimum of the model with one more row for each solution so far: at least
`distance` integer variables differ from it (`search.domains.ilp.search.further_solutions`). Without
a proof, or without time, the pool holds what the search reported on its way.
"""

from __future__ import annotations

import math
import select
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from search.domains.ilp.problem import IlpProblem
from search.domains.ilp.search.further_solutions import Further, further_solutions
from search.domains.ilp.search.implied_bounds import implied_bounds
from search.domains.ilp.search.polish import candidates
from search.domains.ilp.search.state import cutoff_of
from search.domains.ilp.solution import Pooled, SolutionPool, differing
from search.isolation import Message, NativeCrash, NativeError, NativeProcess
from solvers.scaling import ScaledModel
from solvers.types import Floats
from trimtab.results import VerificationStatus
from trimtab.specs.ilp import PoolOptions

_MOST_RANGE = 1e7  # of a general integer, so that its indicator rows keep their digits
_SAME = 1e-9  # relative, of objectives
_POLL_S = 0.05
_MOST_NOTE = 300  # characters


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
        elif optimal and not self._solutions:
            self._note = "the best solution failed the exact check"
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
        if self._options.size == len(self._solutions):
            return
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
        if over():
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
                if not all(self._take_in(message) for message in process.messages()):
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


def pool_summary(pool: SolutionPool) -> dict[str, object]:
    """Return the pool's figures for the summary of the result."""
    return {
        "solutions": len(pool.solutions),
        "proved": pool.proved,
        "complete": pool.complete,
        "note": pool.note,
    }

"""Settle a search: a solution that the exact check accepts, and a claim that more than one engine's word supports.

An engine's `optimal` or `infeasible` holds within its tolerances on the model as it sees it. Small models are proved again in
rational arithmetic. Where numbers are too far apart for floating point, where a solution and a bound contradict each other,
and where a solution fails the check, other engines are tried while time is left; then the claim is withdrawn, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from search import isolation
from search.domains.ilp.parse import IlpProblem
from search.domains.ilp.produce import values_by_name
from search.stop import StoppingCriterion
from search.types import SearchOutcome
from solvers.exact.prove import MOST_ENTRIES, MOST_VARIABLES, Claim
from solvers.feasibility import violation
from solvers.scaling import ScaledModel
from solvers.table import make_solver
from solvers.types import Floats, MilpModel
from trimtab.results import Limit, Reason, Termination, Verification, VerificationStatus
from trimtab.specs.ilp import Engine

_POLISH_LIMIT_S = 5.0
_POLISH_ABOVE = 1e-9
_PROOF_S, _DOUBTFUL_PROOF_S, _PROOF_SHARE = 0.5, 20.0, 0.5
_LEAST_S = 0.05  # another attempt is not worth starting below
_SAME = 1e-6  # relative
_PROOFS = (
    Reason.OPTIMAL,
    Reason.INFEASIBLE,
    Reason.UNBOUNDED,
    Reason.INFEASIBLE_OR_UNBOUNDED,
)
_EXACT_ENGINES = (Engine.CP_SAT,)  # they work in integers and refuse what they cannot hold

Again = Callable[[Engine, Floats | None], SearchOutcome]
"""Run one more engine on the scaled model, from a solution (n,) or from none. The outcome's x is in scaled units."""


@dataclass(kw_only=True, eq=False)
class _Best:
    """The best solution that the exact check accepts, in the author's units and sense."""

    x: Floats | None = None
    objective: float = math.nan
    check: Verification | None = None  # the last one, also of a refused solution


class Settlement:
    """Settles one search. `run` turns the first engine's outcome into the one that is reported."""

    def __init__(
        self,
        problem: IlpProblem,
        scaled: ScaledModel,
        stop: StoppingCriterion,
        again: Again,
    ) -> None:
        self._problem, self._scaled, self._stop, self._again = problem, scaled, stop, again
        self._model = problem.model
        self._best = _Best()
        self._bounds: list[float] = []
        self._certain = (
            not scaled.doubt
        )  # False while a claim rests on numbers too far apart for floating point
        self._notes: list[str] = []
        self._sign = -1.0 if self._model.maximize else 1.0

    def offer(self, scaled_x: Floats) -> None:
        """Keep a solution (n,) in scaled units that the engines may not come back with."""
        self._consider(scaled_x)

    def run(self, outcome: SearchOutcome) -> SearchOutcome:
        """The reported outcome: x in the author's units, or None."""
        first = outcome
        engine = self._problem.spec.engine
        termination = self._heard(outcome)
        if self._open(termination) or termination.reason in _PROOFS:
            termination = self._proved(termination)
        for other in self._others(engine):
            if not self._open(termination) or self._over():
                break
            self._notes.append(f"{termination.detail}: {other.value} is tried as well")
            start = None if self._best.x is None else self._scaled.enter(self._best.x)
            termination = self._heard(
                self._again(other, start), exact=other in _EXACT_ENGINES
            )
        if (
            self._best.x is None
            and self._best.check is not None
            and termination.reason not in _PROOFS[1:]
        ):
            return self._failed(first, termination)
        solution = None if termination.reason in _PROOFS[1:] else self._best.x
        return replace(
            first,
            termination=termination,
            solution=solution,
            objective=None if solution is None else self._best.objective,
            bound=None
            if termination.reason in _PROOFS[1:] or not self._certain
            else self._bound(),
            summary={
                **first.summary,
                "notes": [*first.summary.get("notes", ()), *self._notes],
            },
        )

    def _heard(self, outcome: SearchOutcome, *, exact: bool = False) -> Termination:
        """Take over what an engine's run brought; its termination, as far as that is supported."""
        self._consider(outcome.solution)
        if outcome.bound is not None:
            self._bounds.append(outcome.bound)
        return self._supported(outcome.termination, exact=exact)

    def _bound(self) -> float | None:
        """The best bound that the solution does not contradict."""
        objective = self._best.objective if self._best.x is not None else None
        allowed = [
            bound
            for bound in self._bounds
            if objective is None
            or self._sign * (bound - objective) <= 0
            or _meet(objective, bound)
        ]
        if not allowed:
            return None
        best = max(allowed) if self._sign > 0 else min(allowed)
        # It may overshoot by the tolerance.
        return (
            best if objective is None or self._sign * (best - objective) <= 0 else objective
        )

    def _over(self) -> bool:
        return self._stop(None) or self._stop.remaining_s() < _LEAST_S

    def _open(self, termination: Termination) -> bool:
        """True for ends that no limit of the owner's explains: there is more to be had."""
        return termination.limit is Limit.OTHER or termination.reason in (
            Reason.INFEASIBLE_OR_UNBOUNDED,
            Reason.NUMERICAL_ERROR,
        )

    def _others(self, engine: Engine) -> list[Engine]:
        order = (Engine.HIGHS, Engine.CP_SAT, Engine.SCIP)
        return [
            one
            for one in order
            if one is not engine and make_solver(one.value).why_not(self._model) is None
        ]

    def _consider(self, scaled_x: Floats | None) -> None:
        """Round, polish and check a solution, and keep it when it is the best."""
        if scaled_x is None:
            return
        for x in candidates(self._problem, self._scaled, self._scaled.restore(scaled_x)):
            if self._take(x):
                return

    def _take(self, x: Floats) -> bool:
        """Check a point exactly; True when it holds (it is kept when it is the best)."""
        objective = self._model.in_user_sense(self._model.objective(x)) + 0.0
        values = {
            name: value
            for name, value in values_by_name(self._problem, x).items()
            if value != 0
        }
        check = self._problem.checker.check(values, claimed=objective)
        if check.status is not VerificationStatus.VALID:
            self._best.check = self._best.check or check
            return False
        if (
            self._best.x is None
            or self._sign * objective < self._sign * self._best.objective
        ):
            self._best = _Best(x=x, objective=objective, check=check)
        return True

    def _supported(self, termination: Termination, *, exact: bool = False) -> Termination:
        """A termination, as far as the checked solution, the bound and the model's numbers support it."""
        best, reason = self._best, termination.reason
        doubt = "" if exact else self._scaled.doubt
        if reason is Reason.OPTIMAL:
            bound = self._bound()
            if best.x is None:
                why = best.check.detail if best.check is not None else ""
                return _open_end(
                    Reason.NO_SOLUTION_FOUND, f"the solution failed the exact check ({why})"
                )
            if bound is None or not _meet(best.objective, bound):
                return _open_end(
                    Reason.FEASIBLE, "what was claimed to be optimal failed the exact check"
                )
            if doubt:
                return _open_end(
                    Reason.FEASIBLE, f"the claim of optimality is withdrawn: {doubt}"
                )
        if reason in _PROOFS[1:]:
            if best.x is not None and reason is not Reason.UNBOUNDED:
                return _open_end(
                    Reason.FEASIBLE,
                    f"{reason.value} was claimed against a solution in hand",
                )
            if doubt:
                left = Reason.FEASIBLE if best.x is not None else Reason.NO_SOLUTION_FOUND
                return _open_end(left, f"the claim {reason.value} is withdrawn: {doubt}")
        self._certain = self._certain or (exact and reason in _PROOFS)
        if reason in (Reason.FEASIBLE, Reason.NO_SOLUTION_FOUND, Reason.NUMERICAL_ERROR):
            actual = Reason.NO_SOLUTION_FOUND if best.x is None else Reason.FEASIBLE
            return (
                termination
                if reason is Reason.NUMERICAL_ERROR and best.x is None
                else _as(termination, actual)
            )
        return termination

    def _proved(self, termination: Termination) -> Termination:
        """The claim after an exact proof, where the model is small enough for one; unchanged otherwise."""
        doubtful = self._open(termination)
        seconds = min(
            _DOUBTFUL_PROOF_S if doubtful else _PROOF_S,
            _PROOF_SHARE * self._stop.remaining_s(),
        )
        if not takes_size(self._model) or seconds < _LEAST_S or self._stop(None):
            return termination
        values = (
            None if self._best.x is None else values_by_name(self._problem, self._best.x)
        )
        proof, point = self._problem.checker.prove(
            values, seconds=seconds, stopped=lambda: self._stop(None)
        )
        improved = point is not None and self._take(self._point(point))
        detail = f"proved in rational arithmetic, {proof.nodes} nodes"
        if proof.claim is Claim.UNDECIDED or (
            proof.claim is Claim.OPTIMAL and (self._best.x is None or proof.bound is None)
        ):
            if improved and termination.reason in _PROOFS:
                self._bounds.clear()
                return _open_end(
                    Reason.FEASIBLE,
                    f"{termination.reason.value} was claimed, but a better solution exists",
                )
            return _as(termination, Reason.FEASIBLE) if improved else termination
        self._certain = True
        if proof.claim is Claim.OPTIMAL and proof.bound is not None:
            # An engine's tighter bound stands where nothing casts doubt on it.
            self._bounds = [
                proof.bound,
                *([] if doubtful or self._scaled.doubt or improved else self._bounds),
            ]
            return Termination(
                reason=Reason.OPTIMAL, detail=f"no better solution exists ({detail})"
            )
        self._bounds.clear()
        return Termination(reason=Reason(proof.claim.value), detail=detail)

    def _point(self, values: dict[str, float]) -> Floats:
        model = self._model
        return np.array([values.get(model.column_name(j), 0.0) for j in range(model.n)])

    def _failed(self, first: SearchOutcome, termination: Termination) -> SearchOutcome:
        """No solution holds: let the pipeline refuse the first one, with what the check says."""
        x = None if first.solution is None else self._scaled.restore(first.solution)
        return replace(first, termination=termination, solution=x)


def candidates(problem: IlpProblem, scaled: ScaledModel, x: Floats) -> list[Floats]:
    """Versions of x (n,) with integers made whole, the one that violates rows least first."""
    model = problem.model
    rounded = (
        np.where(
            model.integrality, np.round(x), np.clip(x, model.col_lower, model.col_upper)
        )
        + 0.0
    )
    worst = _worst(scaled, rounded)
    if (
        model.extras is not None
    ):  # what is left is no linear program; only specks are swept away
        tidy = model.extras.tidied(rounded)
        return (
            [tidy, rounded]
            if _worst(scaled, tidy) <= max(worst, _POLISH_ABOVE)
            else [rounded, tidy]
        )
    if bool(model.integrality.all()) or worst <= _POLISH_ABOVE:
        return [rounded]
    solved = _solved_again(problem, scaled, rounded)
    if solved is None:
        return [rounded]
    return [solved, rounded] if _worst(scaled, solved) <= worst else [rounded, solved]


def polished(problem: IlpProblem, scaled: ScaledModel, x: Floats) -> Floats:
    """The best version of x (n,) with integers made whole."""
    return candidates(problem, scaled, x)[0]


def _solved_again(
    problem: IlpProblem, scaled: ScaledModel, rounded: Floats
) -> Floats | None:
    """The continuous part solved again, tightly, beside integers made whole."""
    path, model = problem.workdir / "polished.npy", scaled.model
    start = scaled.enter(rounded)

    def polish() -> isolation.Message:
        from solvers.relaxation import Relaxation

        solution = Relaxation(model, tight=True).complete(
            start, time_limit_s=_POLISH_LIMIT_S
        )
        if solution.x is None:
            return {"polished": False}
        np.save(path, np.where(model.integrality, start, solution.x))
        return {"polished": True}

    try:
        message = isolation.call(
            "polishing the continuous part", polish, timeout_s=_POLISH_LIMIT_S + 1
        )
    except (isolation.NativeCrash, isolation.NativeError, isolation.NativeTimeout):
        return None
    return (
        scaled.restore(np.load(path, allow_pickle=False)) if message["polished"] else None
    )


def _worst(scaled: ScaledModel, x: Floats) -> float:
    """The largest relative violation of x (n,), in scaled units."""
    worst = violation(scaled.model, scaled.enter(x))
    return max(worst.rows, worst.bounds, worst.extras)


def takes_size(model: MilpModel) -> bool:
    """True for models that the exact branch and bound takes."""
    extras = model.extras
    special = extras is not None and (
        extras.objective is not None or bool(extras.rows) or bool(extras.sets)
    )
    return not special and model.n + model.m <= MOST_VARIABLES and model.nnz <= MOST_ENTRIES


def _as(termination: Termination, reason: Reason) -> Termination:
    return termination.model_copy(update={"reason": reason})


def _open_end(reason: Reason, detail: str) -> Termination:
    return Termination(reason=reason, limit=Limit.OTHER, detail=detail)


def _meet(objective: float, bound: float) -> bool:
    """Within the gap of a proof, either way."""
    return abs(objective - bound) <= _SAME * max(abs(objective), abs(bound))

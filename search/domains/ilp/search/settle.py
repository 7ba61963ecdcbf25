"""Settlement of a search: a solution that is checked exactly, and a claim that holds.

An engine's `optimal` or `infeasible` holds within its tolerances on the model as it sees it. Small
models are proved again in rational arithmetic. Where numbers are too far apart for floating point,
where a solution and a bound contradict each other, and where a solution fails the check, other
engines are tried while time is left. Then the claim is withdrawn, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from search.domains.ilp.problem import IlpProblem
from search.domains.ilp.search.polish import candidates
from search.domains.ilp.search.state import cutoff_of
from search.stop import StoppingCriterion
from search.types import SearchOutcome
from solvers.exact.prove import MOST_ENTRIES, MOST_VARIABLES, Claim
from solvers.scaling import ScaledModel
from solvers.table import make_solver
from solvers.types import Floats, MilpModel
from trimtab.results import Limit, Reason, Termination, Verification, VerificationStatus
from trimtab.specs.ilp import Engine

# Seconds of an exact proof: of an undoubted claim, of a doubtful one; and a share of what is left.
_PROOF_S, _DOUBTFUL_PROOF_S, _PROOF_SHARE = 0.5, 20.0, 0.5
_LEAST_S = 0.05  # another attempt is not worth starting below
_SAME = 1e-6  # relative
_WITHOUT_SOLUTION = (
    Reason.INFEASIBLE,
    Reason.UNBOUNDED,
    Reason.INFEASIBLE_OR_UNBOUNDED,
)
_PROOFS = (Reason.OPTIMAL, *_WITHOUT_SOLUTION)
# Asked as well, in this order, while the question is open.
_IN_TURN = (Engine.HIGHS, Engine.CP_SAT, Engine.SCIP)
# They work in integers and refuse what they cannot hold.
_EXACT_ENGINES = (Engine.CP_SAT,)

RunEngine = Callable[[Engine, Floats | None], SearchOutcome]
"""Run another engine on the scaled model, from a solution (n,) or none; returns scaled units."""


@dataclass(kw_only=True, eq=False)
class _Best:
    """Best solution that the exact check accepts, in the user's units and sense."""

    x: Floats | None = None
    objective: float = math.nan
    check: Verification | None = None  # the last one, also of a refused solution


class Settlement:
    """Settlement of one search. `run` turns the first engine's outcome into the reported one."""

    def __init__(
        self,
        problem: IlpProblem,
        scaled: ScaledModel,
        stop: StoppingCriterion,
        run_engine: RunEngine,
    ) -> None:
        self._problem, self._scaled, self._stop = problem, scaled, stop
        self._run_engine = run_engine
        self._model = problem.model
        self._best = _Best()
        self._bounds: list[float] = []
        # False while a claim rests on numbers too far apart for floating point.
        self._certain = not scaled.doubt
        self._notes: list[str] = []
        self._sign = -1.0 if self._model.maximize else 1.0

    def offer(self, scaled_x: Floats) -> None:
        """Consider a solution (n,) in scaled units that the engines may not return."""
        self._consider(scaled_x)

    def run(self, outcome: SearchOutcome) -> SearchOutcome:
        """Return the outcome to report: x in the user's units, or None."""
        termination = self._take_in(outcome)
        if _is_open(termination) or termination.reason in _PROOFS:
            termination = self._prove(termination)
        for other in _IN_TURN:
            if not _is_open(termination) or self._over():
                break
            if not self._takes(other):
                continue
            self._notes.append(f"{termination.detail}: {other.value} is tried as well")
            start = None if self._best.x is None else self._scaled.enter(self._best.x)
            termination = self._take_in(
                self._run_engine(other, start), exact=other in _EXACT_ENGINES
            )
        no_solution = termination.reason in _WITHOUT_SOLUTION
        if self._best.x is None and self._best.check is not None and not no_solution:
            return self._refused(outcome, termination)
        solution = None if no_solution else self._best.x
        notes = [*outcome.summary.get("notes", ()), *self._notes]
        return replace(
            outcome,
            termination=termination,
            solution=solution,
            objective=None if solution is None else self._best.objective,
            bound=None if no_solution or not self._certain else self._bound(),
            summary={**outcome.summary, "notes": notes},
        )

    def _take_in(self, outcome: SearchOutcome, *, exact: bool = False) -> Termination:
        """Take over an engine's solution and bound; return the termination that is supported."""
        self._consider(outcome.solution)
        if outcome.bound is not None:
            self._bounds.append(outcome.bound)
        return self._supported(outcome.termination, exact=exact)

    def _bound(self) -> float | None:
        """Return the best bound that the solution does not contradict."""
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
        if objective is not None and self._sign * (best - objective) > 0:
            return objective  # the bound overshoots by the tolerance
        return best

    def _over(self) -> bool:
        return self._stop(None) or self._stop.remaining_s() < _LEAST_S

    def _takes(self, engine: Engine) -> bool:
        """Return whether another engine than the job's takes the model."""
        if engine is self._problem.spec.engine:
            return False
        return make_solver(engine.value).why_not(self._model) is None

    def _consider(self, scaled_x: Floats | None) -> None:
        """Round, polish and check a solution, and keep it if it is the best."""
        if scaled_x is None:
            return
        x = self._scaled.restore(scaled_x)
        for candidate in candidates(self._scaled, x, self._problem.workdir):
            if self._accept(candidate):
                return

    def _accept(self, x: Floats) -> bool:
        """Check a point exactly; return True if it holds. It is kept if it is the best."""
        objective = self._model.in_user_sense(self._model.objective(x)) + 0.0
        values = self._problem.nonzeros_by_name(x)
        check = self._problem.checker.check(values, claimed=objective)
        if check.status is not VerificationStatus.VALID:
            self._best.check = self._best.check or check
            return False
        scaled = self._scaled.model
        cutoff = cutoff_of(scaled, self._problem.spec.cutoff, slack=_SAME)
        if scaled.from_user_sense(objective) > cutoff:
            return True
        if (
            self._best.x is None
            or self._sign * objective < self._sign * self._best.objective
        ):
            self._best = _Best(x=x, objective=objective, check=check)
        return True

    def _supported(self, termination: Termination, *, exact: bool = False) -> Termination:
        """Return the termination as far as the solution, the bound and the numbers support it."""
        reason = termination.reason
        doubt = "" if exact else self._scaled.doubt
        withdrawn = None
        if reason is Reason.OPTIMAL:
            withdrawn = self._withdraw_optimal(doubt)
        elif reason in _WITHOUT_SOLUTION:
            withdrawn = self._withdraw_no_solution(reason, doubt)
        if withdrawn is not None:
            return withdrawn
        self._certain = self._certain or (exact and reason in _PROOFS)
        if reason is Reason.NUMERICAL_ERROR and self._best.x is None:
            return termination
        if reason in (Reason.FEASIBLE, Reason.NO_SOLUTION_FOUND, Reason.NUMERICAL_ERROR):
            return _with_reason(termination, self._reason_without_proof())
        return termination

    def _withdraw_optimal(self, doubt: str) -> Termination | None:
        """Return an open end if `optimal` is not supported."""
        best, bound = self._best, self._bound()
        if best.x is None:
            why = best.check.detail if best.check is not None else ""
            detail = f"the solution failed the exact check ({why})"
            return _open_end(Reason.NO_SOLUTION_FOUND, detail)
        if bound is None or not _meet(best.objective, bound):
            detail = "what was claimed to be optimal failed the exact check"
            return _open_end(Reason.FEASIBLE, detail)
        if doubt:
            return _open_end(
                Reason.FEASIBLE, f"the claim of optimality is withdrawn: {doubt}"
            )
        return None

    def _withdraw_no_solution(self, reason: Reason, doubt: str) -> Termination | None:
        """Return an open end if `infeasible` or `unbounded` is not supported."""
        if self._best.x is not None and reason is not Reason.UNBOUNDED:
            return _open_end(
                Reason.FEASIBLE,
                f"{reason.value} was claimed although there is a solution",
            )
        if doubt:
            return _open_end(
                self._reason_without_proof(),
                f"the claim {reason.value} is withdrawn: {doubt}",
            )
        return None

    def _reason_without_proof(self) -> Reason:
        return Reason.NO_SOLUTION_FOUND if self._best.x is None else Reason.FEASIBLE

    def _prove(self, termination: Termination) -> Termination:
        """Return the claim after an exact proof; unchanged if the model is too large for one."""
        doubtful = _is_open(termination)
        seconds = min(
            _DOUBTFUL_PROOF_S if doubtful else _PROOF_S,
            _PROOF_SHARE * self._stop.remaining_s(),
        )
        if not takes_size(self._model) or seconds < _LEAST_S or self._stop(None):
            return termination
        best = self._best.x
        proof, point = self._problem.checker.prove(
            None if best is None else self._problem.values_by_name(best),
            seconds=seconds,
            stopped=lambda: self._stop(None),
        )
        improved = point is not None and self._accept(self._vector(point))
        if proof.claim is Claim.UNDECIDED or (
            proof.claim is Claim.OPTIMAL and (self._best.x is None or proof.bound is None)
        ):
            return self._unproved(termination, improved)
        self._certain = True
        nodes = f"{proof.nodes} node{'' if proof.nodes == 1 else 's'}"
        detail = f"proved in rational arithmetic, {nodes}"
        if proof.claim is Claim.OPTIMAL and proof.bound is not None:
            # An engine's tighter bound stands unless something casts doubt on it.
            undoubted = not (doubtful or self._scaled.doubt or improved)
            self._bounds = [proof.bound, *(self._bounds if undoubted else [])]
            return Termination(
                reason=Reason.OPTIMAL, detail=f"no better solution exists ({detail})"
            )
        self._bounds.clear()
        return Termination(reason=Reason(proof.claim.value), detail=detail)

    def _unproved(self, termination: Termination, improved: bool) -> Termination:
        """Return the claim after a proof that ended undecided, perhaps with a better solution."""
        if not improved:
            return termination
        if termination.reason in _PROOFS:
            self._bounds.clear()
            detail = (
                f"{termination.reason.value} was claimed, but a better solution exists"
            )
            return _open_end(Reason.FEASIBLE, detail)
        return _with_reason(termination, Reason.FEASIBLE)

    def _vector(self, values: dict[str, float]) -> Floats:
        model = self._model
        return np.array([values.get(model.column_name(j), 0.0) for j in range(model.n)])

    def _refused(self, first: SearchOutcome, termination: Termination) -> SearchOutcome:
        """Return the first solution though it failed: the pipeline refuses it with the reason."""
        x = None if first.solution is None else self._scaled.restore(first.solution)
        return replace(first, termination=termination, solution=x)


def settled_bound(
    scaled: ScaledModel, *, objective: float, bound: float
) -> tuple[float | None, bool]:
    """Return (bound that holds, whether it proves the solution optimal), as `Settlement` decides.

    objective: of a checked solution. bound: that an earlier process reported. Both are in the
        user's units and sense.
    """
    sign = -1.0 if scaled.original.maximize else 1.0
    if scaled.doubt:
        return None, False
    if _meet(objective, bound):
        return sign * min(sign * objective, sign * bound), True
    return (bound if sign * (bound - objective) < 0 else None), False


def takes_size(model: MilpModel) -> bool:
    """Return True for models that the exact branch and bound takes."""
    extras = model.extras
    special = extras is not None and (
        extras.objective is not None or bool(extras.rows) or bool(extras.sets)
    )
    return (
        not special and model.n + model.m <= MOST_VARIABLES and model.nnz <= MOST_ENTRIES
    )


def _is_open(termination: Termination) -> bool:
    """Return True for ends that no limit of the user's explains: another attempt may do better."""
    return termination.limit is Limit.OTHER or termination.reason in (
        Reason.INFEASIBLE_OR_UNBOUNDED,
        Reason.NUMERICAL_ERROR,
    )


def _with_reason(termination: Termination, reason: Reason) -> Termination:
    return termination.model_copy(update={"reason": reason})


def _open_end(reason: Reason, detail: str) -> Termination:
    return Termination(reason=reason, limit=Limit.OTHER, detail=detail)


def _meet(objective: float, bound: float) -> bool:
    """Return True within the gap of a proof, either way."""
    return abs(objective - bound) <= _SAME * max(abs(objective), abs(bound))

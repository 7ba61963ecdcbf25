"""Kind `ilp`: read, search with two processes, check exactly, write the solution."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from search import native
from search.domains.ilp import problem as reading
from search.domains.ilp.checker import Checker
from search.domains.ilp.problem import IlpProblem
from search.domains.ilp.produce import produce, produce_curve, values_by_name
from search.domains.ilp.supervisor import supervise
from search.stop import StoppingCriterion
from search.types import InvalidInput, OnIncumbent, Produced, SearchOutcome
from solvers.feasibility import violation
from solvers.table import make_solver
from solvers.types import Floats
from trimtab.results import Incumbent, Reason, Verification
from trimtab.specs.ilp import Engine, IlpSpec

_POLISH_LIMIT_S = 5.0
_ENGINE_FOR_SPECIAL = Engine.SCIP  # of models that are not linear
_POLISH_ABOVE = 1e-9
_SETTLE_S = 20.0
_CURVE_POINTS = 100_000
_CLAIMS = (Reason.INFEASIBLE, Reason.UNBOUNDED, Reason.INFEASIBLE_OR_UNBOUNDED)


@dataclass(frozen=True, kw_only=True, eq=False)
class IlpSolution:
    """What the search claims."""

    x: Floats  # (n,) minimised model's columns
    objective: float  # in the owner's sense
    curve: tuple[tuple[float, float | None, float | None], ...] = ()  # (seconds, incumbent, bound), owner's sense


class IlpDomain:
    """Stateless; the process of the check belongs to the problem."""

    packages = ("highspy", "PySCIPOpt", "ortools", "scipy")

    def parse(self, spec: IlpSpec, inputs: Mapping[str, Path], workdir: Path) -> IlpProblem:
        """Raises InvalidInput or NativeCrash."""
        problem = _for_special(reading.parse(spec, inputs, workdir))
        spec = problem.spec
        why_not = make_solver(spec.engine.value).why_not(problem.model)
        if why_not is not None:
            problem.checker.close()
            raise InvalidInput(f"engine {spec.engine.value} cannot take this model: {why_not}; choose another engine")
        return problem

    def encode(self, problem: IlpProblem) -> Checker:
        """The process of the check; it has been reading since before the solvers' reader began."""
        return problem.checker

    def search(
        self,
        problem: IlpProblem,
        encoding: Checker,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
    ) -> SearchOutcome:
        """Two processes, one incumbent. See supervisor."""
        curve: list[tuple[float, float | None, float | None]] = []

        def record(point: Incumbent) -> None:
            if len(curve) < _CURVE_POINTS:
                curve.append((time.monotonic() - problem.began, point.objective, point.bound))
            on_incumbent(point)

        try:
            outcome = supervise(problem, stop, rng, record)
        except BaseException:
            encoding.close()
            raise
        if problem.notes:
            outcome = replace(outcome, summary=_noted(outcome.summary, problem.notes))
        if outcome.solution is None or outcome.objective is None:
            fault = encoding.settle(_SETTLE_S) if outcome.termination.reason in _CLAIMS else None
            encoding.close()
            if fault is not None:
                raise fault
            return outcome
        x = self._polished(problem, outcome.solution)
        claimed = problem.model.in_user_sense(problem.model.objective(x))
        return SearchOutcome(
            termination=outcome.termination,
            solution=IlpSolution(x=x, objective=claimed, curve=tuple(curve)),
            objective=claimed,
            bound=outcome.bound,
            sense=outcome.sense,
            summary=outcome.summary,
            weights=outcome.weights,
        )

    def verify(self, problem: IlpProblem, solution: IlpSolution) -> Verification:
        """From the original file alone."""
        values = {name: value for name, value in values_by_name(problem, solution.x).items() if value != 0}
        return problem.checker.check(values, claimed=solution.objective)

    def produce(self, problem: IlpProblem, solution: IlpSolution, workdir: Path) -> list[Produced]:
        """solution.sol, solution.json, curve.csv and curve.svg."""
        return produce(problem, solution.x, workdir) + produce_curve(solution.curve, workdir)

    def _polished(self, problem: IlpProblem, x: Floats) -> Floats:
        """Integers made whole, then the continuous part solved again, when rounding has moved a row."""
        model = problem.model
        rounded = np.where(model.integrality, np.round(x), np.clip(x, model.col_lower, model.col_upper))
        if model.extras is not None:  # what is left is no linear program; only specks are swept away
            tidy = model.extras.tidied(rounded)
            return tidy if _worst(problem, tidy) <= max(_worst(problem, rounded), _POLISH_ABOVE) else rounded
        if bool(model.integrality.all()) or _worst(problem, rounded) <= _POLISH_ABOVE:
            return rounded
        kept = problem.workdir / "polished.npy"

        def polish() -> native.Message:
            from solvers.relaxation import Relaxation

            found = Relaxation(model).complete(rounded, time_limit_s=_POLISH_LIMIT_S)
            if found.x is None:
                return {"polished": False}
            np.save(kept, np.where(model.integrality, rounded, found.x))
            return {"polished": True}

        try:
            told = native.call("polishing the continuous part", polish, timeout_s=_POLISH_LIMIT_S + 1)
        except (native.NativeCrash, native.NativeError, native.NativeTimeout):
            return rounded
        if not told["polished"]:
            return rounded
        better = np.load(kept, allow_pickle=False)
        return better if _worst(problem, better) <= _worst(problem, rounded) else rounded


def _worst(problem: IlpProblem, x: Floats) -> float:
    found = violation(problem.model, x)
    return max(found.rows, found.bounds, found.extras)


def _for_special(problem: IlpProblem) -> IlpProblem:
    """A model that is not linear goes to an engine that takes it, alone: neighbourhoods are cut out of linear rows."""
    spec, model = problem.spec, problem.model
    if model.extras is None:
        return problem
    has = f"the model has {', '.join(model.beyond_linear)}"
    notes = [f"{has}: an exact solver works on it alone, and the exact check takes all of it"]
    if make_solver(spec.engine.value).why_not(model) is not None:
        notes.append(f"engine {spec.engine.value} cannot take that; {_ENGINE_FOR_SPECIAL.value} was taken instead")
        spec = spec.model_copy(update={"engine": _ENGINE_FOR_SPECIAL})
    return replace(problem, spec=spec, notes=(*problem.notes, *notes))


def _noted(summary: Mapping[str, Any], notes: tuple[str, ...]) -> dict[str, Any]:
    return {**summary, "notes": [*notes, *summary.get("notes", ())]}


def build() -> IlpDomain:
    """The domain, for KINDS."""
    return IlpDomain()

"""Kind `ilp`: read, search with two processes, check exactly, write the solution."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.ilp import parse as reading
from search.domains.ilp.parse import IlpProblem
from search.domains.ilp.produce import curve_extras, produce, values_by_name
from search.domains.ilp.search.outcome import figures_of
from search.domains.ilp.search.settle import Settlement, polished
from search.domains.ilp.search.supervisor import OnPoint, supervise
from search.domains.ilp.search.warm_start import WarmStart, prepare
from search.domains.ilp.solution import from_bytes, to_bytes
from search.domains.ilp.verify.checker import Checker
from search.stop import StoppingCriterion
from search.types import Extra, InvalidInput, OnIncumbent, Produced, SearchOutcome
from solvers.scaling import ScaledModel, scale
from solvers.table import make_solver
from solvers.types import Floats
from trimtab.results import Incumbent, Reason, Termination, Verification
from trimtab.specs.ilp import Engine, IlpSpec, LnsOptions

_ENGINE_FOR_SPECIAL = Engine.SCIP  # of models that are not linear
_SETTLE_S = 20.0
_CURVE_POINTS = 100_000
_LONGEST_S = 1e6
_CLAIMS = (Reason.INFEASIBLE, Reason.UNBOUNDED, Reason.INFEASIBLE_OR_UNBOUNDED)


@dataclass(frozen=True, kw_only=True, eq=False)
class IlpSolution:
    """What the search claims."""

    x: Floats  # (n,) minimised model's columns
    objective: float  # in the owner's sense
    curve: tuple[
        tuple[float, float | None, float | None], ...
    ] = ()  # (seconds, incumbent, bound), owner's sense


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
            raise InvalidInput(
                f"engine {spec.engine.value} cannot take this model: {why_not}; choose another engine"
            )
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
        start: IlpSolution | None = None,
    ) -> SearchOutcome:
        """Two processes, one incumbent. See supervisor."""
        curve: list[tuple[float, float | None, float | None]] = []
        if start is not None:
            problem = replace(problem, warm_start=start.x)
        scaled = scale(problem.model)
        best: Incumbent | None = None
        newest: Floats | None = None
        sign = -1.0 if problem.model.maximize else 1.0

        def record(point: Incumbent, x: Floats | None = None) -> None:
            nonlocal best, newest
            known = None if best is None else best.objective
            if known is not None and (
                point.objective is None or sign * point.objective > sign * known
            ):
                return  # another engine that starts from the beginning
            best = point
            if len(curve) < _CURVE_POINTS:
                curve.append(
                    (time.monotonic() - problem.began, point.objective, point.bound)
                )
            if x is None or x is newest:  # only the bound has moved
                on_incumbent(point)
                return
            newest = x
            on_incumbent(
                point,
                lambda: IlpSolution(x=scaled.restore(x), objective=point.objective or 0.0),
            )

        _ = (
            scaled.model.whole_rows
        )  # kept by the model: computed once, before processes are forked
        inner = replace(problem, model=scaled.model, warm_start=None)
        try:
            warm = self._started(problem, scaled, stop, record)
            if warm is not None and problem.warm_start is not None:
                # Values that could not be repaired in time are a hint all the same.
                values = scaled.enter(problem.warm_start)
                inner = replace(inner, warm_start=values if warm.x is None else warm.x)

            def again(engine: Engine, x: Floats | None) -> SearchOutcome:
                spec = problem.spec.model_copy(
                    update={"engine": engine, "lns": LnsOptions(enabled=False)}
                )
                return supervise(replace(inner, spec=spec, warm_start=x), stop, rng, record)

            outcome = supervise(inner, stop, rng, record)
            settlement = Settlement(problem, scaled, stop, again)
            if warm is not None and warm.x is not None:
                settlement.offer(warm.x)
            outcome = settlement.run(outcome)
            if (
                outcome.termination.reason in _CLAIMS
                and (fault := encoding.settle(_SETTLE_S)) is not None
            ):
                raise fault
        except BaseException:
            encoding.close()
            raise
        more = {} if warm is None else {"warm_start": _became(warm, outcome.summary)}
        outcome = replace(
            outcome, summary=_noted({**outcome.summary, **more}, problem.notes)
        )
        if outcome.solution is None or outcome.objective is None:
            encoding.close()
            return outcome
        return replace(
            outcome,
            solution=IlpSolution(
                x=outcome.solution, objective=outcome.objective, curve=tuple(curve)
            ),
        )

    def _started(
        self,
        problem: IlpProblem,
        scaled: ScaledModel,
        stop: StoppingCriterion,
        record: OnPoint,
    ) -> WarmStart | None:
        """The owner's warm start in scaled units, with what became of it; None without one."""
        if problem.warm_start is None:
            return None
        left_s = min(stop.remaining_s(), _LONGEST_S)
        start = prepare(
            scaled.model, scaled.enter(problem.warm_start), problem.workdir, left_s=left_s
        )
        if start.x is not None:
            objective = float(start.summary["objective"])
            point = Incumbent(
                elapsed_s=0.0,
                objective=objective,
                bound=None,
                gap=None,
                source="warm-start",
            )
            record(point, start.x)
        return start

    def verify(self, problem: IlpProblem, solution: IlpSolution) -> Verification:
        """From the original file alone."""
        values = {
            name: value
            for name, value in values_by_name(problem, solution.x).items()
            if value != 0
        }
        try:
            return problem.checker.check(values, claimed=solution.objective)
        finally:
            problem.checker.close()

    def produce(
        self, problem: IlpProblem, solution: IlpSolution, workdir: Path
    ) -> list[Produced | Extra]:
        """solution.sol, solution.json, curve.csv and curve.svg."""
        return [*produce(problem, solution.x, workdir), *curve_extras(solution.curve)]

    def keep(self, problem: IlpProblem, solution: IlpSolution) -> bytes:
        """Values of the columns."""
        return to_bytes(solution.x)

    def restore(self, problem: IlpProblem, data: bytes) -> SearchOutcome:
        """The values again, rounded and polished. Raises ValueError when they are not of this model."""
        model = problem.model
        x = polished(problem, scale(model), from_bytes(problem, data))
        claimed = model.in_user_sense(model.objective(x)) + 0.0
        return SearchOutcome(
            termination=Termination(reason=Reason.FEASIBLE, detail="restored"),
            solution=IlpSolution(x=x, objective=claimed),
            objective=claimed,
            bound=None,
            sense="maximize" if model.maximize else "minimize",
            summary={
                **figures_of(model, problem.spec.engine.value),
                "notes": list(problem.notes),
            },
        )


def _for_special(problem: IlpProblem) -> IlpProblem:
    """A model that is not linear goes to an engine that takes it, alone: neighbourhoods are cut out of linear rows."""
    spec, model = problem.spec, problem.model
    if model.extras is None:
        return problem
    has = f"the model has {', '.join(model.beyond_linear)}"
    notes = [
        f"{has}: an exact solver works on it alone, and the exact check takes all of it"
    ]
    if make_solver(spec.engine.value).why_not(model) is not None:
        notes.append(
            f"engine {spec.engine.value} cannot take that; {_ENGINE_FOR_SPECIAL.value} was taken instead"
        )
        spec = spec.model_copy(update={"engine": _ENGINE_FOR_SPECIAL})
    return replace(problem, spec=spec, notes=(*problem.notes, *notes))


def _became(start: WarmStart, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The warm start's summary; the neighbourhood search may have repaired what was dropped at first."""
    if start.x is None and summary.get("lns_started_by") in (
        "warm-start",
        "warm-start-repaired",
    ):
        return {
            **start.summary,
            "outcome": "repaired",
            "objective": summary.get("lns_started_from"),
        }
    return start.summary


def _noted(summary: Mapping[str, Any], notes: tuple[str, ...]) -> dict[str, Any]:
    return {**summary, "notes": [*notes, *summary.get("notes", ())]}


def build() -> IlpDomain:
    """The domain, for KINDS."""
    return IlpDomain()

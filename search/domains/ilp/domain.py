"""Kind `ilp`: the five phases of the pipeline for one integer program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.ilp import encode as encode_stage
from search.domains.ilp import parse as parse_stage
from search.domains.ilp import produce as produce_stage
from search.domains.ilp.problem import IlpProblem
from search.domains.ilp.search.outcome import model_figures
from search.domains.ilp.search.policy import choose_policy
from search.domains.ilp.search.polish import candidates
from search.domains.ilp.search.recorder import Recorder
from search.domains.ilp.search.settle import Settlement
from search.domains.ilp.search.supervisor import supervise
from search.domains.ilp.search.warm_start import WarmStart, prepare, summary_after
from search.domains.ilp.solution import IlpSolution, from_bytes, to_bytes
from search.model_files import ModelOffer
from search.stop import AbsoluteGap, AnyOf, StoppingCriterion
from search.types import Extra, OnIncumbent, Produced, SearchOutcome
from solvers.scaling import ScaledModel
from solvers.types import Floats
from trimtab.results import Incumbent, Reason, Termination, Verification
from trimtab.specs.ilp import Engine, IlpSpec, LnsOptions

_COMPARISON_S = 20.0  # for the exact reading, when a claim has no solution to check
_MOST_S = 1e6  # stands for a search without a time limit
_CLAIMS_WITHOUT_SOLUTION = (
    Reason.INFEASIBLE,
    Reason.UNBOUNDED,
    Reason.INFEASIBLE_OR_UNBOUNDED,
)


class IlpDomain:
    """Domain of integer programs. The check process belongs to the problem."""

    packages = ("highspy", "PySCIPOpt", "ortools", "scipy")

    def __init__(self) -> None:
        self._offer: ModelOffer | None = None

    def take_models(self, offer: ModelOffer) -> None:
        """Receive the fitted policies that the job may use."""
        self._offer = offer

    def parse(
        self, spec: IlpSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> IlpProblem:
        """Read the model and choose a policy. Raises InvalidInput or NativeCrash."""
        problem = parse_stage.parse(spec, inputs, workdir)
        if self._offer is None:
            return problem
        try:
            choice = choose_policy(problem.model, self._offer)
        except BaseException:
            problem.checker.close()
            raise
        return replace(problem, choice=choice)

    def encode(self, problem: IlpProblem) -> ScaledModel:
        """Scale the model."""
        return encode_stage.encode(problem.model)

    def search(
        self,
        problem: IlpProblem,
        encoding: ScaledModel,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: IlpSolution | None = None,
    ) -> SearchOutcome:
        """Prepare the warm start, run the processes of the search, and settle what they claim."""
        if start is not None:
            problem = replace(problem, warm_start=start.x)
        recorder = Recorder(problem, encoding, on_incumbent)
        if problem.spec.absolute_gap is not None:
            stop = AnyOf(stop, AbsoluteGap(problem.spec.absolute_gap))
        try:
            warm = _warm_start(problem, encoding, stop, recorder)
            scaled = _scaled_problem(problem, encoding, warm)

            def run_engine(engine: Engine, x: Floats | None) -> SearchOutcome:
                options = {"engine": engine, "lns": LnsOptions(enabled=False)}
                alone = scaled.spec.model_copy(update=options)
                return supervise(
                    replace(scaled, spec=alone, warm_start=x), stop, rng, recorder
                )

            outcome = supervise(scaled, stop, rng, recorder)
            settlement = Settlement(problem, encoding, stop, run_engine)
            if warm is not None and warm.x is not None:
                settlement.offer(warm.x)
            outcome = settlement.run(outcome)
            if outcome.termination.reason in _CLAIMS_WITHOUT_SOLUTION:
                refusal = problem.checker.await_comparison(_COMPARISON_S)
                if refusal is not None:
                    raise refusal
        except BaseException:
            problem.checker.close()
            raise
        outcome = replace(outcome, summary=_summary(problem, outcome, warm))
        if outcome.solution is None or outcome.objective is None:
            problem.checker.close()
            return outcome
        solution = IlpSolution(
            x=outcome.solution,
            objective=outcome.objective,
            curve=recorder.curve,
            optimal=outcome.termination.reason is Reason.OPTIMAL,
        )
        return replace(outcome, solution=solution)

    def verify(self, problem: IlpProblem, solution: IlpSolution) -> Verification:
        """Check the solution in the check process, from the original file alone."""
        try:
            return problem.checker.check(
                problem.nonzeros_by_name(solution.x), claimed=solution.objective
            )
        finally:
            problem.checker.close()

    def produce(
        self, problem: IlpProblem, solution: IlpSolution, workdir: Path
    ) -> list[Produced | Extra]:
        """Write solution.sol and solution.json; offer duals.json, curve.csv and curve.svg."""
        return produce_stage.produce(problem, solution, workdir)

    def keep(self, problem: IlpProblem, solution: IlpSolution) -> bytes:
        """Serialise the values of the columns."""
        return to_bytes(solution.x)

    def restore(self, problem: IlpProblem, data: bytes) -> SearchOutcome:
        """Rebuild a solution, rounded and polished. Raises ValueError for another model's."""
        model = problem.model
        x = from_bytes(data, n=model.n)
        x = candidates(encode_stage.encode(model), x, problem.workdir)[0]
        objective = model.in_user_sense(model.objective(x)) + 0.0
        figures = model_figures(model, problem.spec.engine.value)
        return SearchOutcome(
            termination=Termination(reason=Reason.FEASIBLE, detail="restored"),
            solution=IlpSolution(x=x, objective=objective),
            objective=objective,
            bound=None,
            sense="maximize" if model.maximize else "minimize",
            summary={**figures, "notes": list(problem.notes)},
        )


def _warm_start(
    problem: IlpProblem,
    scaled: ScaledModel,
    stop: StoppingCriterion,
    recorder: Recorder,
) -> WarmStart | None:
    """Prepare and report the warm start in scaled units; None without one."""
    if problem.warm_start is None:
        return None
    left_s = min(stop.remaining_s(), _MOST_S)
    values = scaled.enter(problem.warm_start)
    warm = prepare(scaled.model, values, problem.workdir, left_s=left_s)
    if warm.x is not None:
        objective = float(warm.summary["objective"])
        recorder(
            Incumbent(elapsed_s=0.0, objective=objective, source="warm-start"), warm.x
        )
    return warm


def _scaled_problem(
    problem: IlpProblem, scaled: ScaledModel, warm: WarmStart | None
) -> IlpProblem:
    """Return the problem in scaled units, with the prepared warm start."""
    start = None
    if warm is not None and problem.warm_start is not None:
        # Values that could not be repaired in time are still a hint.
        start = scaled.enter(problem.warm_start) if warm.x is None else warm.x
    return replace(problem, model=scaled.model, warm_start=start)


def _summary(
    problem: IlpProblem, outcome: SearchOutcome, warm: WarmStart | None
) -> dict[str, Any]:
    """Return the outcome's summary with the warm start's report and the problem's notes first."""
    summary = dict(outcome.summary)
    if warm is not None:
        summary["warm_start"] = summary_after(warm, outcome.summary)
    if problem.choice is not None:
        summary["model_used"] = problem.choice.summary()
    summary["notes"] = [*problem.notes, *summary.get("notes", ())]
    return summary


def build() -> IlpDomain:
    """Build the domain, for KINDS."""
    return IlpDomain()

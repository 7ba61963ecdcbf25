"""Kind `ilp`: the five phases of the pipeline for one integer program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.ilp import encode as encode_stage
from search.domains.ilp import parse as parse_stage
from search.domains.ilp import produce as produce_stage
from search.domains.ilp.problem import IlpProblem
from search.domains.ilp.search.further_solutions import Further
from search.domains.ilp.search.outcome import model_figures
from search.domains.ilp.search.policy import choose_policy
from search.domains.ilp.search.polish import candidates
from search.domains.ilp.search.pool import PoolBuilder, pool_summary
from search.domains.ilp.search.recorder import Recorder
from search.domains.ilp.search.settle import Settlement, settled_bound
from search.domains.ilp.search.state import cutoff_of
from search.domains.ilp.search.supervisor import supervise
from search.domains.ilp.search.warm_start import WarmStart, prepare, summary_after
from search.domains.ilp.solution import (
    IlpSolution,
    SolutionPool,
    from_bytes,
    to_bytes,
)
from search.model_files import ModelOffer
from search.stop import (
    AbsoluteGap,
    AnyOf,
    BoundStop,
    ObjectiveStop,
    SolutionLimit,
    StoppingCriterion,
    TimeOf,
)
from search.types import Announce, Extra, OnIncumbent, Produced, SearchOutcome
from solvers.scaling import ScaledModel
from solvers.types import Floats
from trimtab.results import Incumbent, Reason, Termination, Verification
from trimtab.specs.ilp import Engine, IlpSpec, LnsOptions

_COMPARISON_S = 20.0  # for the exact reading, when a claim has no solution to check
_LEAST_POOL_S = 0.1  # a further solution is not worth starting below
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
        self._announce: Announce | None = None

    def take_models(self, offer: ModelOffer) -> None:
        """Receive the fitted policies that the job may use."""
        self._offer = offer

    def announce_to(self, announce: Announce) -> None:
        """Receive the function that reports waits for the exact reader."""
        self._announce = announce

    def parse(
        self, spec: IlpSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> IlpProblem:
        """Read the model and choose a policy. Raises InvalidInput or NativeCrash."""
        problem = parse_stage.parse(spec, inputs, workdir)
        if self._announce is not None:
            problem.checker.announce_to(self._announce)
        if self._offer is None:
            return problem
        with ExitStack() as on_error:
            on_error.callback(problem.checker.close)
            choice = choose_policy(problem.model, self._offer)
            on_error.pop_all()
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
        stop = _with_own_limits(problem, stop)
        with ExitStack() as unless_verified:
            unless_verified.callback(problem.checker.close)
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
            outcome = replace(outcome, summary=_summary(problem, outcome, warm))
            if outcome.solution is None or outcome.objective is None:
                return outcome
            x, objective = outcome.solution, outcome.objective
            pool = None
            if problem.spec.pool is not None:
                pool = _pool(problem, encoding, outcome, recorder, TimeOf(stop), rng)
                summary = {**outcome.summary, "pool": pool_summary(pool)}
                outcome = replace(outcome, summary=summary)
            solution = IlpSolution(
                x=x,
                objective=objective,
                curve=recorder.curve,
                optimal=outcome.termination.reason is Reason.OPTIMAL,
                pool=pool,
            )
            unless_verified.pop_all()
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

    def show(self, problem: IlpProblem, solution: IlpSolution) -> bytes:
        """Return objective and nonzeros as JSON, in the form of `solution.json`."""
        return produce_stage.solution_json(problem, solution.x)

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

    def with_bound(
        self, problem: IlpProblem, outcome: SearchOutcome, bound: float
    ) -> SearchOutcome:
        """Return a restored outcome with its run's bound; OPTIMAL where the two meet."""
        assert outcome.objective is not None
        solution = outcome.solution
        assert isinstance(solution, IlpSolution)
        held, optimal = settled_bound(
            encode_stage.encode(problem.model), objective=outcome.objective, bound=bound
        )
        outcome = replace(outcome, bound=held)
        if not optimal:
            return outcome
        return replace(
            outcome,
            termination=Termination(
                reason=Reason.OPTIMAL,
                detail="no better solution exists (by the bound that the run had proved)",
            ),
            solution=replace(solution, optimal=True),
        )


def _with_own_limits(problem: IlpProblem, stop: StoppingCriterion) -> StoppingCriterion:
    """Return the criterion with the limits of the spec."""
    spec, maximize = problem.spec, problem.model.maximize
    limits: list[StoppingCriterion] = []
    if spec.absolute_gap is not None:
        limits.append(AbsoluteGap(spec.absolute_gap))
    if spec.objective_stop is not None:
        limits.append(ObjectiveStop(spec.objective_stop, maximize=maximize))
    if spec.bound_stop is not None:
        limits.append(BoundStop(spec.bound_stop, maximize=maximize))
    if spec.solution_limit is not None:
        limits.append(SolutionLimit(spec.solution_limit))
    return AnyOf(stop, *limits) if limits else stop


def _pool(
    problem: IlpProblem,
    encoding: ScaledModel,
    outcome: SearchOutcome,
    recorder: Recorder,
    time_left: StoppingCriterion,
    rng: np.random.Generator,
) -> SolutionPool:
    """Build the pool around the outcome's solution, in the time that is left."""
    assert problem.spec.pool is not None
    assert outcome.solution is not None
    further = Further(
        engine=problem.spec.engine.value,
        threads=problem.spec.threads,
        seed=int(rng.integers(2**31 - 1)),
        seconds=min(time_left.remaining_s(), _MOST_S),
    )
    builder = PoolBuilder(problem, encoding, problem.spec.pool, x=outcome.solution)
    return builder.build(
        recorder.reported,
        optimal=outcome.termination.reason is Reason.OPTIMAL,
        further=further,
        over=lambda: time_left(None) or time_left.remaining_s() < _LEAST_POOL_S,
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
    objective = float(warm.summary.get("objective", math.inf))
    # A start beyond the user's cutoff still helps the search, but it is no solution.
    cutoff = cutoff_of(scaled.model, problem.spec.cutoff)
    if warm.x is not None and scaled.model.from_user_sense(objective) < cutoff:
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

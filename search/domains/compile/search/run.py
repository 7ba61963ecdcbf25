"""Search of one program: reference runs, LLVM's levels, one mode, and the answer's files."""

from __future__ import annotations

import time

import numpy as np

from search.domains.compile.answer import CompileSolution
from search.domains.compile.builds import unoptimised_objects
from search.domains.compile.encode import Prepared
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.search.answer_files import rival_of, write_answer
from search.domains.compile.search.behaviour import NOT_RUN, BehaviourOracle
from search.domains.compile.search.fitted import FittedCoreset
from search.domains.compile.search.incumbents import Accepted, Incumbents, value_of
from search.domains.compile.search.paper import search_paper
from search.domains.compile.search.product import search_product
from search.domains.compile.search.quarantine import reduce_quarantined
from search.domains.compile.search.rivals import (
    build_rivals,
    compare_baselines,
    search_gcc,
)
from search.domains.compile.search.run_time import reserve_s as run_time_reserve_s
from search.domains.compile.search.run_time import search_run_time
from search.domains.compile.search.state import SearchState, Trials
from search.domains.compile.search.summary import summary_of, termination_of
from search.stop import StoppingCriterion
from search.types import OnIncumbent, SearchOutcome
from solvers.llvm.types import Recipe
from trimtab.results import Incumbent
from trimtab.specs.compile import Mode

_LEAST_RESERVE_S = 0.3  # seconds kept for the check
_MOST_RESERVE = 0.4  # of the time left
_CHECK_COMPILES = 4  # compilations as long as -Oz's that the check makes
_CHECK_BUILDS = 1.5  # times the user's own builds, which the check makes again
_CHECK_RUNS = 3  # runs of each case that the check makes
_NOT_COMPARED = "the run ended before it was compared"


def search_program(
    problem: CompileProblem,
    prepared: Prepared,
    stop: StoppingCriterion,
    rng: np.random.Generator,
    on_incumbent: OnIncumbent,
    start: CompileSolution | None = None,
    *,
    fitted: FittedCoreset | None = None,
) -> SearchOutcome:
    """Return the smallest (or fastest) program that behaves like the unoptimised one.

    -Oz when none is smaller, or when -Oz itself behaves differently. `start` is an earlier answer.

    fitted: pipelines mined on the owner's code base, tried before the shipped ones.
    """
    began = time.monotonic()
    if not problem.timed:
        report_oz(problem, prepared, on_incumbent)
    state = _new_state(problem, prepared, stop, rng, on_incumbent)
    state.fitted = fitted
    _record_reference(state)
    notes = [*prepared.notes, *state.oracle.notes]
    notes += compare_baselines(state)
    comparable = problem.timed or _accept_oz(state, notes)
    state.reserve_s = _reserve_s(state)
    _measure_levels(state)
    if comparable and not problem.timed:
        _offer_levels(state)
        if start is not None:
            (measured,) = prepared.engine.measure([start.recipe])
            state.incumbents.offer(start.name, measured)
    timing, trials = None, Trials()
    if problem.timed:
        state.reserve_s += run_time_reserve_s(state.oracle.run_s)
        timing, trials = search_run_time(state)
    elif comparable and not state.over():
        paper = problem.spec.mode is Mode.PAPER
        notes += search_gcc(state)
        trials = search_paper(state) if paper else search_product(state)
    notes += build_rivals(state)
    reduce_quarantined(
        state.incumbents.quarantined, prepared.engine, state.oracle, stopped=state.over
    )
    assert state.incumbents.best is not None
    solution = write_answer(
        problem,
        prepared,
        state.incumbents.best,
        problem.workdir / "answer",
        cases=state.oracle.cases,
        why_unvalidated=state.oracle.why_unvalidated,
        timing=timing,
        quarantined=state.incumbents.quarantined,
    )
    return SearchOutcome(
        termination=termination_of(state, solution),
        solution=solution,
        objective=solution.objective,
        bound=None,
        summary=summary_of(state, solution, trials, notes, time.monotonic() - began),
        weights=trials.weights,
    )


def report_oz(
    problem: CompileProblem, prepared: Prepared, on_incumbent: OnIncumbent
) -> None:
    """Report -Oz before anything is run, so that a job that ends early has an answer."""
    measured = prepared.levels["Oz"]
    built = prepared.built[measured.program]
    oz = Accepted(name="Oz", value=value_of(measured, problem.metric), built=built)
    value, source = _answered(problem, prepared, oz)
    on_incumbent(
        Incumbent(elapsed_s=0.0, objective=value, source=source),
        lambda: write_unchecked(problem, prepared, oz, "reported"),
    )


def _answered(
    problem: CompileProblem, prepared: Prepared, best: Accepted
) -> tuple[float, str]:
    """Return value and name of the answer: of the user's own build where that is smaller."""
    rival = rival_of(prepared, problem.metric)
    if rival is not None and rival.of(problem.metric) < best.value:
        return float(rival.of(problem.metric)), rival.build.name
    return best.value, best.name


def write_unchecked(
    problem: CompileProblem, prepared: Prepared, best: Accepted, folder: str
) -> CompileSolution:
    """Write an answer whose behaviour was not compared."""
    return write_answer(
        problem,
        prepared,
        best,
        problem.workdir / folder,
        cases=(),
        why_unvalidated=_NOT_COMPARED,
    )


def _new_state(
    problem: CompileProblem,
    prepared: Prepared,
    stop: StoppingCriterion,
    rng: np.random.Generator,
    on_incumbent: OnIncumbent,
) -> SearchState:
    oracle = BehaviourOracle(
        problem, folder=problem.workdir / "runs", stopped=lambda: stop.remaining_s() <= 0
    )

    def report(accepted: Accepted) -> None:
        cases, why = oracle.cases, oracle.why_unvalidated
        if _answered(problem, prepared, accepted)[1] != accepted.name:
            return  # the user's own build is smaller, and was reported
        on_incumbent(
            Incumbent(elapsed_s=0.0, objective=accepted.value, source=accepted.name),
            lambda: write_answer(
                problem,
                prepared,
                accepted,
                problem.workdir / "reported",
                cases=cases,
                why_unvalidated=why,
            ),
        )

    incumbents = Incumbents(
        engine=prepared.engine,
        oracle=oracle,
        metric=problem.metric,
        build_id=prepared.installed.build_id,
        report=report,
        built=prepared.built,
    )
    return SearchState(
        problem=problem,
        prepared=prepared,
        oracle=oracle,
        incumbents=incumbents,
        stop=stop,
        rng=rng,
    )


def _record_reference(state: SearchState) -> None:
    """Run the unoptimised program, if it may be run and there is time."""
    engine, oracle = state.prepared.engine, state.oracle
    if state.problem.may_run and not state.stop(None):
        has_main = "main" in engine.info.exported
        if state.problem.image is not None:
            objects = unoptimised_objects(state.problem, state.problem.workdir / "O0")
            oracle.record_reference(objects, has_main=has_main)
            return
        plain = engine.build(Recipe(pipeline=state.prepared.pipelines["O0"]))
        oracle.record_reference(plain.object, has_main=has_main)
    else:
        oracle.why_unvalidated = (
            "the time was up before it was run" if state.problem.may_run else NOT_RUN
        )


def _accept_oz(state: SearchState, notes: list[str]) -> bool:
    """Make -Oz the incumbent; False when its behaviour differs and nothing can be compared."""
    oz = state.prepared.levels["Oz"]
    if state.incumbents.offer("Oz", oz):
        return True
    state.oracle.disable(_why_oz_differs(state))
    state.incumbents.reset()
    state.incumbents.offer("Oz", oz)
    notes.append("the answer is -Oz: nothing else was compared")
    return False


def _why_oz_differs(state: SearchState) -> str:
    """Explain for the answer's label why the behaviour of -Oz was not found equal."""
    if state.oracle.limit_exceeded:
        return (
            f"-Oz could not be compared: {state.oracle.limit_exceeded}; give the run a longer "
            "timeout_seconds, or less to do"
        )
    if not state.incumbents.quarantined:
        return "the time was up before -Oz had been compared"
    why = state.incumbents.quarantined[0].why
    return (
        f"-Oz itself behaves differently from the unoptimised program ({why}): undefined "
        "behaviour, or a fault of LLVM's own"
    )


def _reserve_s(state: SearchState) -> float:
    """Seconds the check will need: compilations by LLVM's tools, and the runs again."""
    oz_s, runs_s = state.prepared.levels["Oz"].seconds, state.oracle.run_s
    needed_s = _LEAST_RESERVE_S + _CHECK_COMPILES * oz_s + _CHECK_RUNS * runs_s
    needed_s += _CHECK_BUILDS * state.prepared.builds_s
    return min(needed_s, _MOST_RESERVE * state.stop.remaining_s())


def _measure_levels(state: SearchState) -> None:
    """Measure the table's other levels while there is time, likely candidates first."""
    prepared = state.prepared
    for level in ("Os", "O2", *prepared.rows):
        if level not in prepared.levels and not state.over():
            recipe = prepared.rows[level]
            for measured in prepared.engine.measure([recipe], stopped=state.over):
                prepared.levels[level] = measured


def _offer_levels(state: SearchState) -> None:
    """Offer LLVM's levels, smallest first.

    The answer is then not larger than any row of its own table that behaves the same.
    """
    metric, levels = state.problem.metric, state.prepared.levels
    for name in sorted(
        levels, key=lambda level: (value_of(levels[level], metric), level)
    ):
        state.incumbents.offer(name, levels[name])

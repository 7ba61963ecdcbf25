"""The search of one program, top to bottom: runs of the unoptimised one, -Oz, candidates, quarantine, the answer's files."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.weights import digest as learned_digest
from search.domains.compile.answer import CompileSolution
from search.domains.compile.parse.problem import CompileProblem, names
from search.domains.compile.produce.picture import OURS
from search.domains.compile.produce.report import PROMISE, PROMISE_OF_TIME
from search.domains.compile.search import paper
from search.domains.compile.search.behaviour import NOT_RUN, Judge
from search.domains.compile.search.candidates import candidate_space, function_tails
from search.domains.compile.search.coreset import NAME as CORESET
from search.domains.compile.search.coreset import (
    list_for,
    load_coreset,
    usefulness,
    without_options,
)
from search.domains.compile.search.incumbents import Chooser, Chosen
from search.domains.compile.search.local_search import FIRST, optimise
from search.domains.compile.search.policy import ask, name_of
from search.domains.compile.search.quarantine import Quarantined, reduced
from search.domains.compile.search.run_time import Timing, fastest
from search.domains.compile.search.run_time import reserve_s as timing_reserve_s
from search.stop import AnyOf, StoppingCriterion
from search.types import OnIncumbent, SearchOutcome
from solvers.llvm.engine import Built, CandidateFailed, Engine
from solvers.llvm.execute import RunCase
from solvers.llvm.install import Installed
from solvers.llvm.options import KNOWN, options_for
from solvers.llvm.types import Measured, Metric, Recipe, Sizes
from trimtab.results import Incumbent, Limit, Reason, Termination
from trimtab.specs.compile import Mode, Tier

RECIPE_FORMAT = "trimtab-compile-recipe/1"
_LEAST_RESERVE_S, _MOST_RESERVE = (
    0.3,
    0.4,
)  # seconds; share of what is left: kept for the check
_CHECK_COMPILES = 4  # compilations as long as -Oz's that the check makes
_CHECK_RUNS = 3  # of each case
_MOST_REDUCED = 3  # quarantined candidates brought down to their first bad pass
_MOST_EVALUATIONS = (
    100_000  # when the budget says nothing: its time ends the search, or a dry stretch
)
_STALE = 200  # compilations without a better program: the search is over
_TAILS_S = 1.5  # -Oz's own times a tail
_MOST_TOLD = 40  # rows of a table in the summary


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A program in its engine, measured at -Oz and, while the search has time, at LLVM's other levels."""

    engine: Engine
    installed: Installed
    pipelines: Mapping[str, str]  # level → text
    rows: Mapping[str, Recipe]  # of the table: level → how it is made
    levels: dict[str, Measured]  # those measured so far
    notes: tuple[str, ...]

    @property
    def sizes(self) -> dict[str, Sizes]:
        """Of the levels that came through, in the table's order."""
        order = [name for name in self.rows if name in self.levels] or list(self.levels)
        found = {name: self.levels[name].sizes for name in order}
        return {name: sizes for name, sizes in found.items() if sizes is not None}


def search(
    problem: CompileProblem,
    prepared: Prepared,
    stop: StoppingCriterion,
    rng: np.random.Generator,
    on_incumbent: OnIncumbent,
    start: CompileSolution | None = None,
) -> SearchOutcome:
    """Smallest program that behaves; -Oz when none is smaller, or when -Oz itself behaves oddly."""
    began = time.monotonic()
    engine = prepared.engine
    judge = Judge(problem, folder=problem.workdir / "runs", stopped=lambda: stop(None))
    ready = {} if problem.timed else _oz_first(problem, prepared, on_incumbent)
    if problem.may_run and not stop(None):
        plain = engine.build(Recipe(pipeline=prepared.pipelines["O0"]))
        judge.learn(plain.object, has_main="main" in engine.info.exported)
    else:
        judge.why_unvalidated = (
            "the time was up before it was run" if problem.may_run else NOT_RUN
        )
    notes = [*prepared.notes, *judge.notes]

    def tell(chosen: Chosen) -> None:
        cases, why = judge.cases, judge.why_unvalidated
        on_incumbent(
            Incumbent(elapsed_s=0.0, objective=chosen.value, source=chosen.name),
            lambda: write_answer(
                problem,
                prepared,
                chosen,
                problem.workdir / "reported",
                cases=cases,
                why_unvalidated=why,
            ),
        )

    def chooser_of(judge: Judge) -> Chooser:
        return Chooser(
            engine=engine,
            judge=judge,
            metric=problem.metric,
            build_id=prepared.installed.build_id,
            tell=tell,
            ready=ready,
        )

    chooser = chooser_of(judge)
    sound = problem.timed or chooser.offer("Oz", prepared.levels["Oz"])
    if not sound:
        judge.give_up(_why_unsound(chooser, judge))
        chooser = chooser_of(judge)
        chooser.offer("Oz", prepared.levels["Oz"])
        notes.append("the answer is -Oz: nothing else was compared")
    reserve_s = _reserve_s(prepared.levels["Oz"].seconds, judge.seconds, stop.remaining_s())
    _measure_levels(prepared, lambda: stop(None) or stop.remaining_s() <= reserve_s)
    if sound and not problem.timed:
        _offer_levels(chooser, prepared)

    def ends() -> bool:
        return stop(None) or stop.remaining_s() <= reserve_s

    if start is not None and sound and not problem.timed:
        chooser.offer(start.name, engine.measure([start.recipe])[0])
    timing = None
    if problem.timed:
        reserve_s += timing_reserve_s(judge.seconds)
        timing, found = _fastest(problem, prepared, chooser, judge, rng, stop, ends)
    else:
        searched = _paper if problem.spec.mode is Mode.PAPER else _candidates
        found = (
            searched(problem, prepared, chooser, rng, stop, reserve_s)
            if sound and not ends()
            else Tried()
        )
    _reduce(chooser, judge, engine, ends)
    assert chooser.best is not None
    solution = write_answer(
        problem,
        prepared,
        chooser.best,
        problem.workdir / "answer",
        cases=judge.cases,
        why_unvalidated=judge.why_unvalidated,
        timing=timing,
        quarantined=chooser.quarantined,
    )
    return SearchOutcome(
        termination=_termination(stop, ends(), problem, solution),
        solution=solution,
        objective=solution.objective,
        bound=None,
        summary=_summary(
            problem, prepared, solution, judge, found, notes, time.monotonic() - began
        ),
        weights=found.weights,
    )


def _oz_first(
    problem: CompileProblem, prepared: Prepared, on_incumbent: OnIncumbent
) -> dict[str, Built]:
    """Report -Oz before anything is run: whatever ends the job from here on, there is an answer. It, by its program."""
    measured = prepared.levels["Oz"]
    try:
        built = prepared.engine.build(measured.recipe)
    except CandidateFailed:
        return {}  # the search will find the same
    chosen = Chosen(name="Oz", value=_value(measured, problem.metric), built=built)
    on_incumbent(
        Incumbent(elapsed_s=0.0, objective=chosen.value, source=chosen.name),
        lambda: write_answer(
            problem,
            prepared,
            chosen,
            problem.workdir / "reported",
            cases=(),
            why_unvalidated="the run ended before it was compared",
        ),
    )
    return {measured.program: built}


def _why_unsound(chooser: Chooser, judge: Judge) -> str:
    """Why the behaviour of -Oz could not be found equal, as the answer's label says it."""
    if judge.exceeded:
        return f"-Oz could not be compared: {judge.exceeded}; give the run a longer timeout_seconds, or less to do"
    if not chooser.quarantined:
        return "the time was up before -Oz had been compared"
    why = chooser.quarantined[0].why
    return f"-Oz itself behaves otherwise than the unoptimised program ({why}): undefined behaviour, or a fault of LLVM's own"


def _measure_levels(prepared: Prepared, ends: Callable[[], bool]) -> None:
    """Fill the table's other rows while there is time, the likely candidates first."""
    for level in ("Os", "O2", *prepared.rows):
        if level not in prepared.levels and not ends():
            for measured in prepared.engine.measure([prepared.rows[level]], stopped=ends):
                prepared.levels[level] = measured


def _offer_levels(chooser: Chooser, prepared: Prepared) -> None:
    """LLVM's other levels, smallest first: the answer is not larger than a row of its own table that behaves."""
    rows = [
        (_value(measured, chooser.metric), name, measured)
        for name, measured in prepared.levels.items()
    ]
    for _, name, measured in sorted(rows, key=lambda row: row[:2]):
        chooser.offer(name, measured)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What was tried besides -Oz."""

    table: tuple[tuple[str, Measured], ...] = ()
    count: int = 0  # where the table has not all
    policy: str = "not asked"
    weights: Mapping[str, str] = field(default_factory=dict)


def _candidates(
    problem: CompileProblem,
    prepared: Prepared,
    chooser: Chooser,
    rng: np.random.Generator,
    stop: StoppingCriterion,
    reserve_s: float,
) -> Tried:
    """Coreset in the policy's order, local search, per-function decisions; each new best is run before it counts."""
    experimental = problem.spec.tier is Tier.EXPERIMENTAL
    allowed = (Tier.DEFAULT, Tier.EXPERIMENTAL) if experimental else (Tier.DEFAULT,)
    defaults, oz = prepared.pipelines, prepared.levels["Oz"]
    assert oz.sizes is not None
    listed = list_for(problem.metric, oz.sizes)
    coreset = [c for c in load_coreset(listed) if c.tier in allowed]
    if problem.spec.llvm_options:
        options = options_for(problem.metric)
        scores, how = ask(prepared.engine, oz.sizes, coreset, listed)
    else:
        options, coreset = frozenset(), without_options(coreset)
        scores, how = None, "greedy order of the coreset, its options left out"
    space = [c for c in candidate_space(defaults, options=options) if c.tier in allowed]
    tails = (
        function_tails(defaults, experimental=experimental)
        if problem.spec.per_function
        else {}
    )

    evaluations = _evaluations_left(stop)

    def left_s() -> float:
        return stop.remaining_s() - reserve_s

    found = optimise(
        prepared.engine,
        metric=problem.metric,
        baseline=oz,
        defaults=defaults,
        candidates=coreset,
        scores=scores,
        first=FIRST,
        usefulness=usefulness(space, problem.metric),
        space=space,
        tails=tails,
        per_function=problem.spec.per_function,
        stale=_STALE,
        late=lambda: left_s() <= _TAILS_S * oz.seconds * len(tails),
        budget=_MOST_EVALUATIONS if evaluations is None else evaluations,
        rng=rng,
        on_better=chooser.accept,
        stopped=lambda: stop(None) or left_s() <= 0,
        spend=_spender(stop),
    )
    used = [CORESET, *([name_of(listed)] if scores is not None else [])]
    return Tried(
        table=found.table, policy=how, weights={name: learned_digest(name) for name in used}
    )


def _paper(
    problem: CompileProblem,
    prepared: Prepared,
    chooser: Chooser,
    rng: np.random.Generator,
    stop: StoppingCriterion,
    reserve_s: float,
) -> Tried:
    """Mode paper: nothing in it is drawn."""
    published, oz = paper.load_sequences(), prepared.levels["Oz"]
    assert oz.sizes is not None
    order, how, used = paper.ask(prepared.engine, published)
    evaluations = _evaluations_left(stop)
    rolled = paper.roll_out(
        prepared.engine,
        paper.allowed(published, prepared.pipelines, problem.spec.tier),
        order,
        least=oz.sizes.ir_instructions,
        passes=paper.PASSES if evaluations is None else evaluations,
        offer=chooser.offer,
        stopped=lambda: stop(None) or stop.remaining_s() <= reserve_s,
        spend=_spender(stop),
    )
    return Tried(
        table=rolled.table,
        count=rolled.sequences,
        policy=f"{how}; {rolled.passes} passes",
        weights={name: learned_digest(name) for name in used},
    )


def _fastest(
    problem: CompileProblem,
    prepared: Prepared,
    chooser: Chooser,
    judge: Judge,
    rng: np.random.Generator,
    stop: StoppingCriterion,
    ends: Callable[[], bool],
) -> tuple[Timing | None, Tried]:
    """Objective run_time: its answer becomes the chooser's."""
    experimental = problem.spec.tier is Tier.EXPERIMENTAL
    options: frozenset[str] = KNOWN if problem.spec.llvm_options else frozenset()
    result = fastest(
        prepared.engine,
        judge,
        defaults=prepared.pipelines,
        space=[
            c
            for c in candidate_space(prepared.pipelines, options=options)
            if experimental or c.tier is Tier.DEFAULT
        ],
        rng=rng,
        build_id=prepared.installed.build_id,
        tell=chooser.tell,
        ends=ends,
        spend=_spender(stop),
    )
    chooser.best = result.chosen
    chooser.quarantined += result.quarantined
    return result.timing, Tried(
        count=result.tried,
        policy="LLVM's levels, then single changes of the fastest, drawn",
    )


def _evaluations_left(stop: StoppingCriterion) -> int | None:
    """None where they are no limit."""
    return stop.evaluations_left() if isinstance(stop, AnyOf) else None


def _spender(stop: StoppingCriterion) -> Callable[[int], object]:
    """Tells a criterion that counts them of evaluations."""
    return stop.spend if isinstance(stop, AnyOf) else lambda count: None


def _value(measured: Measured, metric: Metric) -> float:
    return float(measured.sizes.of(metric)) if measured.sizes is not None else math.inf


def _termination(
    stop: StoppingCriterion, cut: bool, problem: CompileProblem, solution: CompileSolution
) -> Termination:
    if problem.timed:
        told = (
            "no pipeline was told to be faster than -O2"
            if solution.timing is None
            else solution.timing.told()
        )
        done = stop.limit is None and not cut
        return Termination(
            reason=Reason.COMPLETED if done else Reason.FEASIBLE,
            limit=None if done else stop.limit or Limit.TIME,
            detail=told,
        )
    mine, oz = solution.objective, float(solution.levels["Oz"].of(problem.metric))
    words = problem.metric.value.replace("_", " ")
    detail = (
        f"{mine:,.0f} {words}, {100 * (mine - oz) / oz:+.2f} % against -Oz"
        if oz
        else f"{mine:,.0f} {words}"
    )
    if solution.why_unvalidated:
        detail += f"; unvalidated: {solution.why_unvalidated}"
    if stop.limit is not None or cut:
        return Termination(
            reason=Reason.FEASIBLE, limit=stop.limit or Limit.TIME, detail=detail
        )
    return Termination(reason=Reason.COMPLETED, detail=detail)


def _summary(
    problem: CompileProblem,
    prepared: Prepared,
    solution: CompileSolution,
    judge: Judge,
    found: Tried,
    notes: list[str],
    seconds: float,
) -> dict[str, Any]:
    oz = solution.levels["Oz"].of(problem.metric)
    rows = {**solution.levels, OURS: solution.sizes}
    counts = Counter(measured.outcome.value for _, measured in found.table)
    return {
        "llvm": prepared.installed.build_id,
        "target": f"{problem.machine.triple}, {problem.machine.cpu}, {'PIC' if problem.machine.pic else 'static'}",
        "sources": names(problem.sources),
        "instructions": prepared.engine.info.ir_instructions,
        "objective": problem.spec.objective.value,
        "oz": oz,
        "saved": (oz - solution.sizes.of(problem.metric)) / oz if oz else 0.0,
        "found_by": solution.name,
        "pipelines_tried": found.count or len(found.table),
        "outcomes": dict(sorted(counts.items())),
        "policy": found.policy,
        "behaviour": f"compared on {len(judge.cases)} runs"
        if judge.cases
        else f"unvalidated: {judge.why_unvalidated}",
        "promise": PROMISE_OF_TIME if problem.timed else PROMISE,
        **({"time": _time_of(solution)} if problem.timed else {}),
        "search_s": seconds,
        "sizes": [
            {
                "level": name,
                "loadable_bytes": sizes.loadable_bytes,
                "code_bytes": sizes.code_bytes,
                "ir_instructions": sizes.ir_instructions,
            }
            for name, sizes in rows.items()
        ],
        "quarantined": [
            {
                "name": bad.name,
                "why": bad.why,
                "bytes": bad.objective,
                "first_bad_pass": bad.reproducer.last_pass if bad.reproducer else None,
            }
            for bad in solution.quarantined[:_MOST_TOLD]
        ],
        "notes": notes,
    }


def _time_of(solution: CompileSolution) -> str:
    return (
        f"{solution.objective:.4g} s, -O2's own"
        if solution.timing is None
        else solution.timing.told()
    )


def write_answer(
    problem: CompileProblem,
    prepared: Prepared,
    best: Chosen,
    folder: Path,
    *,
    cases: tuple[tuple[RunCase, float], ...],
    why_unvalidated: str,
    timing: Timing | None = None,
    quarantined: Sequence[Quarantined] = (),
) -> CompileSolution:
    """The answer's files, in a folder of the work folder."""
    folder.mkdir(exist_ok=True)
    files = {
        "optimised.bc": best.built.bitcode,
        "optimised.o": best.built.object,
        "optimised.ll": best.built.text.encode(),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    recipe = best.built.measured.recipe
    target = problem.machine
    (folder / "recipe.json").write_text(
        json.dumps(
            {
                "format": RECIPE_FORMAT,
                "llvm": prepared.installed.build_id,
                "target": {
                    "triple": target.triple,
                    "cpu": target.cpu,
                    "features": target.features,
                    "pic": target.pic,
                    "codegen": list(target.codegen),
                },
                "original_sha256": prepared.engine.info.source_sha256,
                "optimised_sha256": hashlib.sha256(best.built.bitcode).hexdigest(),
                **recipe.as_json(),
            },
            indent=1,
        )
    )
    assert best.built.measured.sizes is not None
    return CompileSolution(
        name=best.name,
        recipe=recipe,
        recipe_file=folder / "recipe.json",
        bitcode=folder / "optimised.bc",
        text=folder / "optimised.ll",
        object=folder / "optimised.o",
        sizes=best.built.measured.sizes,
        objective=best.value,
        levels=prepared.sizes,
        build_id=prepared.installed.build_id,
        cases=cases,
        timing=timing,
        why_unvalidated=why_unvalidated,
        quarantined=tuple(quarantined),
    )


def _reduce(
    chooser: Chooser, judge: Judge, engine: Engine, ends: Callable[[], bool]
) -> None:
    """Bring the first quarantined candidates down to their first bad pass, while there is time."""

    def differs(recipe: Recipe) -> str | None:
        try:
            verdict = judge.ask(engine.build(recipe).object)
        except CandidateFailed:
            return None
        return verdict.detail if not verdict.equal and not verdict.stopped else None

    for index, bad in enumerate(chooser.quarantined[:_MOST_REDUCED]):
        if not ends():
            chooser.quarantined[index] = replace(
                bad, reproducer=reduced(bad.recipe, differs, stopped=ends)
            )


def _reserve_s(oz_s: float, runs_s: float, left_s: float) -> float:
    """Seconds that the check will want: compilations by LLVM's tools, the runs again."""
    wanted = _LEAST_RESERVE_S + _CHECK_COMPILES * oz_s + _CHECK_RUNS * runs_s
    return min(wanted, _MOST_RESERVE * left_s)

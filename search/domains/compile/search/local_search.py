"""The search of product mode: -Oz, the coreset in order, `minsize` function by function, a (1+1) search, per-function tails.

A step of the (1+1) search changes the best program's recipe by one move; a discounted bandit picks the kind of move by what
it won of late: add a change from the space, add one that won before, take one out, forbid or force the inlining of a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from search.bandit import DiscountedBandit
from search.domains.compile.search.edits import Candidate, Edit
from search.domains.compile.search.per_function import mixed, of_each, toggled
from solvers.llvm.engine import Engine
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import Measured, Metric, Outcome, Recipe

Floats = NDArray[np.float64]
OnBetter = Callable[[str, Measured], bool]
"""(name, measured) → accepted. False: it behaves otherwise, or could not be checked; the search goes on without it."""

_MOVES = ("add", "again", "remove", "noinline", "alwaysinline")
_PATIENCE, _LEAST_PATIENCE_S = (
    10.0,
    2.0,
)  # times -Oz's own time: what blows a program up is not going to be the smallest
FIRST = 6  # candidates of the coreset before the local search, which has better uses for the rest of a budget
_TRIES = 8  # for a move that has a place and was not tried yet


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that was tried."""

    best: Measured
    table: tuple[tuple[str, Measured], ...]
    candidate: Candidate  # whose pipeline the best has, function attributes and tails apart


@dataclass(frozen=True, kw_only=True)
class _State:
    """What a recipe is made of."""

    candidate: Candidate
    attributes: tuple[tuple[str, str, bool], ...] = ()
    late: tuple[tuple[str, str, bool], ...] = ()  # Recipe.late_attributes


@dataclass
class _Search:
    engine: Engine
    metric: Metric
    defaults: Mapping[str, str]
    budget: int
    on_better: OnBetter
    stopped: Callable[[], bool]
    spend: Callable[[int], object]
    best: Measured
    state: _State = field(default_factory=lambda: _State(candidate=Candidate(name="Oz")))
    table: list[tuple[str, Measured]] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)  # digests of recipes
    programs: set[str] = field(
        default_factory=set
    )  # digests of optimised modules: equal ones are one
    won: list[Edit] = field(default_factory=list)

    patience_s: float = 20.0  # of one compilation
    since: int = 0  # compilations since the last better program

    def over(self) -> bool:
        return self.budget <= 0 or self.stopped()

    def note(self, name: str, measured: Measured) -> None:
        self.budget -= 1
        self.since += 1
        self.spend(1)
        self.table.append((name, measured))

    def value(self, measured: Measured) -> float:
        return (
            float(measured.sizes.of(self.metric))
            if measured.sizes is not None
            else float("inf")
        )

    def recipe(self, state: _State) -> Recipe | None:
        try:
            recipe = state.candidate.recipe(self.defaults)
        except BadPipeline:
            return None  # an edit has no place in this LLVM's -Oz
        return replace(recipe, attributes=state.attributes, late_attributes=state.late)

    def try_(self, state: _State, recipe: Recipe | None = None) -> float:
        """Relative gain of a new best; 0 otherwise. A recipe that was tried costs nothing."""
        recipe = recipe or self.recipe(state)
        if recipe is None or recipe.digest in self.tried or self.over():
            return 0.0
        self.tried.add(recipe.digest)
        for measured in self.engine.measure(
            [recipe], stopped=self.stopped, seconds=self.patience_s
        ):
            self.note(state.candidate.name, measured)
            if measured.outcome is not Outcome.OK or measured.program in self.programs:
                continue
            self.programs.add(measured.program)
            before = self.value(self.best)
            if self.value(measured) < before and self.on_better(
                state.candidate.name, measured
            ):
                self.won.extend(
                    edit
                    for edit in state.candidate.edits
                    if edit not in self.state.candidate.edits
                )
                self.best, self.state, self.since = measured, state, 0
                return (before - self.value(measured)) / max(1.0, before)
        return 0.0


def optimise(
    engine: Engine,
    *,
    metric: Metric,
    baseline: Measured,
    defaults: Mapping[str, str],
    candidates: Sequence[Candidate],
    space: Sequence[Candidate] = (),
    tails: Mapping[str, str] | None = None,
    per_function: bool = True,
    scores: Floats | None = None,
    first: int | None = None,
    usefulness: Floats | None = None,
    inlining: bool = True,
    stale: int | None = None,
    late: Callable[[], bool] = lambda: False,
    budget: int,
    rng: np.random.Generator,
    on_better: OnBetter,
    stopped: Callable[[], bool],
    spend: Callable[[int], object] = lambda count: None,
) -> Found:
    """The smallest accepted program within `budget` compilations.

    baseline: true -Oz, measured and accepted. candidates: tried first, by falling `scores` (their own order without). space:
    single changes for the (1+1) search, drawn by `usefulness` (alike without). first: so many candidates before that search,
    the others never (all: None). per_function: decide on `minsize` for each function. tails: name → function pipeline, of
    which each function gets its best. inlining: whether the (1+1) search may forbid or force that of single functions. stale:
    so many compilations in a row without a better program end it. late: True when the time left is just enough for the tails.
    spend: told of each compilation. Every program that would be the best is offered to `on_better` before it counts.
    """
    run = _Search(
        engine=engine,
        metric=metric,
        defaults=defaults,
        budget=budget,
        on_better=on_better,
        stopped=stopped,
        spend=spend,
        best=baseline,
        tried={baseline.recipe.digest},
        programs={baseline.program},
        patience_s=max(_LEAST_PATIENCE_S, _PATIENCE * baseline.seconds),
    )
    order = (
        range(len(candidates))
        if scores is None
        else np.argsort(-scores, kind="stable").tolist()
    )
    for index in list(order)[:first]:
        if run.over():
            break
        run.try_(_State(candidate=candidates[index]))
    if per_function and metric is not Metric.IR_INSTRUCTIONS:
        _minsize(run)
    run.since = 0
    # Tails come last: what they win is lost again when the pipeline under them changes.
    kept = len(tails) + 1 if tails and metric is not Metric.IR_INSTRUCTIONS else 0
    functions = sorted(set(engine.info.functions) - {"main"}) if inlining else []
    until = min(kept, run.budget // 2)

    def enough() -> bool:
        return (
            run.budget <= until
            or run.stopped()
            or late()
            or (stale is not None and run.since >= stale)
        )

    weights = (
        None if usefulness is None or not len(space) else usefulness / usefulness.sum()
    )
    _one_plus_one(run, space, weights, functions, rng, enough)
    if tails and kept and not run.over():
        _tails(run, tails)
    return Found(best=run.best, table=tuple(run.table), candidate=run.state.candidate)


def _minsize(run: _Search) -> None:
    """Code of every function without `minsize` (or with, where the pipeline took it away), then of those it makes smaller."""
    base, state = run.best, run.state
    whole = toggled(base)
    if whole is None or run.over():
        return
    spent = len(run.table)
    run.try_(_without_minsize(state, whole), whole)
    for _, measured in run.table[spent:]:
        if (fewer := of_each(base, measured, run.metric)) is not None and not run.over():
            run.try_(_without_minsize(state, fewer), fewer)


def _without_minsize(state: _State, recipe: Recipe) -> _State:
    return replace(
        state,
        late=recipe.late_attributes,
        candidate=replace(state.candidate, name=f"{state.candidate.name}+minsize"),
    )


def _tails(run: _Search, tails: Mapping[str, str]) -> None:
    room = dict(list(tails.items())[: max(0, run.budget - 1)])
    recipe = mixed(
        run.engine,
        run.best,
        room,
        run.metric,
        stopped=run.over,
        patience_s=run.patience_s,
        seen=run.note,
    )
    if recipe is not None:
        candidate = replace(
            run.state.candidate, name=f"{run.state.candidate.name}+per-function"
        )
        run.try_(replace(run.state, candidate=candidate), recipe)


def _one_plus_one(
    run: _Search,
    space: Sequence[Candidate],
    weights: Floats | None,
    functions: Sequence[str],
    rng: np.random.Generator,
    enough: Callable[[], bool],
) -> None:
    bandit = DiscountedBandit(_MOVES, half_life_s=2.0, explore=0.5)
    while not enough():
        kind = bandit.pick(rng)
        state = _moved(run, kind, space, weights, functions, rng)
        if state is None:
            bandit.drop(kind)
            if (
                len(bandit.arms) == 1
                and _moved(run, bandit.arms[0], space, weights, functions, rng) is None
            ):
                return
            continue
        spent = len(run.table)
        gain = run.try_(state)
        seconds = sum(measured.seconds for _, measured in run.table[spent:])
        bandit.update(kind, gain=gain, seconds=seconds)


def _moved(
    run: _Search,
    kind: str,
    space: Sequence[Candidate],
    weights: Floats | None,
    functions: Sequence[str],
    rng: np.random.Generator,
) -> _State | None:
    """A neighbour not tried yet; None when none was found in a few tries."""
    for _ in range(_TRIES):
        state = _neighbour(run, kind, space, weights, functions, rng)
        recipe = None if state is None else run.recipe(state)
        if state is not None and recipe is not None and recipe.digest not in run.tried:
            return state
    return None


def _neighbour(
    run: _Search,
    kind: str,
    space: Sequence[Candidate],
    weights: Floats | None,
    functions: Sequence[str],
    rng: np.random.Generator,
) -> _State | None:
    now, candidate = run.state, run.state.candidate
    match kind:
        case "add" if space:
            other = space[int(rng.choice(len(space), p=weights))]
            return (
                replace(now, candidate=candidate.joined(other))
                if other.base == candidate.base
                else None
            )
        case "again" if run.won:
            edit = run.won[int(rng.integers(len(run.won)))]
            if edit in candidate.edits:
                return None
            return replace(
                now, candidate=replace(candidate, edits=(*candidate.edits, edit))
            )
        case "remove" if candidate.edits:
            gone = int(rng.integers(len(candidate.edits)))
            edits = candidate.edits[:gone] + candidate.edits[gone + 1 :]
            return replace(now, candidate=replace(candidate, edits=edits))
        case "noinline" | "alwaysinline" if functions:
            name = functions[int(rng.integers(len(functions)))]
            kept = tuple(row for row in now.attributes if row[0] != name)
            fresh = () if (name, kind, True) in now.attributes else ((name, kind, True),)
            return replace(
                now,
                attributes=(*kept, *fresh),
                candidate=replace(candidate, name=_told(candidate.name, kind)),
            )
    return None


def _told(name: str, kind: str) -> str:
    """A name that says inlining was decided, once."""
    return name if kind in name else f"{name}+{kind}"

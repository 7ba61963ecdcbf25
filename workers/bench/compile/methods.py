"""Searches to compare: same engine, same space of changes to -Oz, as many compilations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from search.domains.compile.search.candidates import changes_of_oz, function_tails
from search.domains.compile.search.coreset import (
    load_coreset,
    usefulness,
    without_options,
)
from search.domains.compile.search.edits import Candidate
from search.domains.compile.search.local_search import (
    MAX_CORESET,
    ProductSpace,
    SearchLimits,
    optimise,
)
from search.domains.compile.search.policy import score_candidates
from solvers.llvm.engine import Engine
from solvers.llvm.types import Measured, Metric, Outcome, Recipe
from trimtab.specs.compile import Tier

_SLOTS = 4  # largest number of changes that a random or evolved candidate combines


@dataclass(frozen=True, kw_only=True)
class Task:
    """One held-out module in its engine, with true -Oz measured."""

    engine: Engine
    defaults: Mapping[str, str]
    oz: Measured
    space: tuple[Candidate, ...]  # default tier
    metric: Metric

    @classmethod
    def of(cls, engine: Engine, metric: Metric = Metric.LOADABLE_BYTES) -> Task:
        """Measure -Oz on an engine's module. Raises ValueError when -Oz itself fails."""
        defaults = engine.default_pipelines()
        (oz,) = engine.measure([Recipe(pipeline=defaults["Oz"])])
        if oz.outcome is not Outcome.OK:
            raise ValueError(f"-Oz ended with {oz.outcome.value}: {oz.detail}")
        return cls(
            engine=engine,
            defaults=defaults,
            oz=oz,
            space=changes_of_oz(defaults, metric),
            metric=metric,
        )


def trimtab(task: Task, budget: int, seed: int) -> Measured:
    """Search as the service does; programs are not executed here."""
    coreset = [c for c in load_coreset(task.metric) if c.tier is Tier.DEFAULT]
    assert task.oz.sizes is not None
    scores, _ = score_candidates(task.engine, task.oz.sizes, coreset, task.metric)
    return _ours(task, budget, seed, coreset, scores)


def without_policy(task: Task, budget: int, seed: int) -> Measured:
    """Search as trimtab does, with the coreset in its own order."""
    return _ours(
        task,
        budget,
        seed,
        [c for c in load_coreset(task.metric) if c.tier is Tier.DEFAULT],
        None,
    )


def passes_only(task: Task, budget: int, seed: int) -> Measured:
    """Search as trimtab does for a compiler without LLVM's options.

    Only passes change, in the coreset's own order.
    """
    space = tuple(c for c in task.space if not c.options)
    coreset = without_options(
        [c for c in load_coreset(task.metric) if c.tier is Tier.DEFAULT]
    )
    return _ours(replace(task, space=space), budget, seed, coreset, None)


def whole_modules(task: Task, budget: int, seed: int) -> Measured:
    """Search as trimtab does without decisions on single functions.

    The other searches have the same space.
    """
    coreset = [c for c in load_coreset(task.metric) if c.tier is Tier.DEFAULT]
    return _ours(task, budget, seed, coreset, None, per_function=False)


def oracle(task: Task, budget: int, seed: int) -> Measured:
    """Return the best of the whole coreset, which no order of it can beat; ignores the budget."""
    best = task.oz
    for candidate in load_coreset(task.metric):
        best = _better(task, best, _of(task, candidate))
    return best


def _ours(
    task: Task,
    budget: int,
    seed: int,
    coreset: Sequence[Candidate],
    scores: NDArray[np.float64] | None,
    *,
    per_function: bool = True,
) -> Measured:
    tails = function_tails(task.defaults, experimental=False) if per_function else {}
    space = ProductSpace(
        metric=task.metric,
        defaults=task.defaults,
        coreset=coreset,
        scores=scores,
        changes=task.space,
        usefulness=usefulness(task.space, task.metric),
        tails=tails,
        minsize=per_function,
        inlining=per_function,
    )
    return optimise(
        task.engine,
        space,
        SearchLimits(evaluations=budget, max_coreset=MAX_CORESET),
        baseline=task.oz,
        rng=np.random.default_rng(seed),
        on_better=lambda name, measured: True,
    ).best


def random_search(task: Task, budget: int, seed: int) -> Measured:
    """Draw one to four changes uniformly for each pipeline."""
    rng = np.random.default_rng(seed)

    def draw() -> Sequence[int]:
        chosen: list[int] = rng.choice(
            len(task.space), size=int(rng.integers(1, _SLOTS + 1)), replace=False
        ).tolist()
        return chosen

    best = task.oz
    for _ in range(budget):
        best = _better(task, best, _combined(task, draw()))
    return best


def nevergrad_one_plus_one(task: Task, budget: int, seed: int) -> Measured:
    """Search with Nevergrad's discrete (1+1) over four slots, each empty or one change."""
    import nevergrad

    slot = range(len(task.space) + 1)
    choices = nevergrad.p.Tuple(*(nevergrad.p.Choice(list(slot)) for _ in range(_SLOTS)))
    choices.random_state.seed(seed)
    optimizer = nevergrad.optimizers.DiscreteOnePlusOne(
        parametrization=choices, budget=budget
    )
    best = task.oz
    for _ in range(budget):
        point = optimizer.ask()
        measured = _combined(task, [i - 1 for i in dict.fromkeys(point.value) if i > 0])
        best = _better(task, best, measured)
        loss = float("inf") if measured is None else float(_size(task, measured))
        optimizer.tell(point, loss)
    return best


def opentuner_style(task: Task, budget: int, seed: int) -> Measured:
    """Search as OpenTuner does: a bandit shares the budget between techniques on one history.

    Ansel et al. (PACT 2014). Techniques: random, hill climbing (one slot of the best changes), a
    genetic one (uniform crossover of two of the best and a mutation), differential evolution
    (slots in which two others differ are copied). The bandit picks the technique with the largest
    area under its recent improvements plus an exploration term (their AUC credit assignment,
    window 50, C = 0.05).
    """
    rng = np.random.default_rng(seed)
    size, nothing = len(task.space), -1
    history: list[tuple[int, tuple[int, ...]]] = []  # (size in bytes, slots)
    uses: list[tuple[str, bool]] = []
    best, tried = task.oz, {(nothing,) * _SLOTS}

    def draw() -> list[int]:
        return [
            int(rng.integers(size)) if rng.random() < 0.5 else nothing
            for _ in range(_SLOTS)
        ]

    def elite() -> list[int]:
        best_ones = sorted(history)[:8]
        if not best_ones:
            return draw()
        return list(best_ones[int(rng.integers(len(best_ones)))][1])

    def hill() -> list[int]:
        slots = list(min(history)[1]) if history else draw()
        slots[int(rng.integers(_SLOTS))] = int(rng.integers(-1, size))
        return slots

    def genetic() -> list[int]:
        child = [
            a if rng.random() < 0.5 else b for a, b in zip(elite(), elite(), strict=True)
        ]
        if rng.random() < 0.5:
            child[int(rng.integers(_SLOTS))] = int(rng.integers(-1, size))
        return child

    def differential() -> list[int]:
        base, a, b = elite(), elite(), elite()
        return [
            y if x != y and rng.random() < 0.9 else z
            for x, y, z in zip(a, b, base, strict=True)
        ]

    techniques = {
        "random": draw,
        "hill": hill,
        "genetic": genetic,
        "differential": differential,
    }

    for _ in range(budget):
        name = max(techniques, key=lambda technique: _credit(technique, uses))
        slots = techniques[name]()
        for _ in range(20):
            if tuple(sorted(slots)) not in tried:
                break
            slots = draw()
        tried.add(tuple(sorted(slots)))
        measured = _combined(
            task, [index for index in dict.fromkeys(slots) if index != nothing]
        )
        gained = measured is not None and _size(task, measured) < _size(task, best)
        uses.append((name, gained))
        best = _better(task, best, measured)
        if measured is not None:
            history.append((_size(task, measured), tuple(slots)))
    return best


def _credit(name: str, uses: Sequence[tuple[str, bool]]) -> float:
    """Return the AUC credit of a technique over the last 50 uses, plus the exploration term."""
    window = uses[-50:]
    mine = [gained for used, gained in window if used == name]
    if not mine:
        return float("inf")
    gains = sum(rank * gained for rank, gained in enumerate(mine, start=1))
    area = 2 * gains / (len(mine) * (len(mine) + 1))
    exploration = (2 * np.log2(max(2, len(window))) / len(mine)) ** 0.5
    return float(area + 0.05 * exploration)


METHODS: Mapping[str, Callable[[Task, int, int], Measured]] = {
    "trimtab": trimtab,
    "without-policy": without_policy,
    "passes-only": passes_only,
    "whole-modules": whole_modules,
    "oracle": oracle,
    "random": random_search,
    "nevergrad-1+1": nevergrad_one_plus_one,
    "opentuner-style": opentuner_style,
}


def _combined(task: Task, chosen: Sequence[int]) -> Measured | None:
    candidate = Candidate(name="Oz")
    for index in chosen:
        candidate = candidate.joined(task.space[index])
    return _of(task, candidate)


def _of(task: Task, candidate: Candidate) -> Measured | None:
    try:
        recipe = candidate.recipe(task.defaults)
    except ValueError:  # one change removed the place of the other
        return None
    (measured,) = task.engine.measure([recipe])
    return measured if measured.outcome is Outcome.OK else None


def _better(task: Task, best: Measured, measured: Measured | None) -> Measured:
    return (
        measured
        if measured is not None and _size(task, measured) < _size(task, best)
        else best
    )


def _size(task: Task, measured: Measured) -> int:
    assert measured.sizes is not None
    return measured.sizes.of(task.metric)

"""Searches side by side: each gets the same engine, the same space of changes to -Oz, the same number of compilations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.domains.compile.candidates import candidate_space, function_tails
from search.domains.compile.coreset import load_coreset
from search.domains.compile.edits import Candidate
from search.domains.compile.local_search import optimise
from solvers.llvm.engine import Engine
from solvers.llvm.types import Measured, Metric, Outcome, Recipe
from trimtab.specs.compile import Tier

_SLOTS = 4  # changes a random or evolved candidate combines at most
METRIC = Metric.LOADABLE_BYTES


@dataclass(frozen=True, kw_only=True)
class Task:
    """One held-out module in its engine, with true -Oz measured."""

    engine: Engine
    defaults: Mapping[str, str]
    oz: Measured
    space: tuple[Candidate, ...]  # default tier

    @classmethod
    def of(cls, engine: Engine) -> Task:
        """Raises ValueError when -Oz itself does not come through."""
        defaults = engine.default_pipelines()
        (oz,) = engine.measure([Recipe(pipeline=defaults["Oz"])])
        if oz.outcome is not Outcome.OK:
            raise ValueError(f"-Oz ended with {oz.outcome.value}: {oz.detail}")
        space = tuple(c for c in candidate_space(defaults) if c.tier is Tier.DEFAULT and c.base == "Oz")
        return cls(engine=engine, defaults=defaults, oz=oz, space=space)


def trimtab(task: Task, budget: int, seed: int) -> Measured:
    """Ours, as the service runs it; programs are not executed here."""
    return optimise(
        task.engine,
        metric=METRIC,
        baseline=task.oz,
        defaults=task.defaults,
        candidates=[c for c in load_coreset() if c.tier is Tier.DEFAULT],
        space=task.space,
        tails=function_tails(task.defaults, experimental=False),
        budget=budget,
        rng=np.random.default_rng(seed),
        on_better=lambda name, measured: True,
        stopped=lambda: False,
    ).best


def random_search(task: Task, budget: int, seed: int) -> Measured:
    """One to four changes drawn uniformly, each time anew."""
    rng = np.random.default_rng(seed)

    def draw() -> Sequence[int]:
        chosen: list[int] = rng.choice(len(task.space), size=int(rng.integers(1, _SLOTS + 1)), replace=False).tolist()
        return chosen

    best = task.oz
    for _ in range(budget):
        best = _better(task, best, _combined(task, draw()))
    return best


def nevergrad_one_plus_one(task: Task, budget: int, seed: int) -> Measured:
    """Nevergrad's discrete (1+1) over four slots, each empty or one change."""
    import nevergrad

    slot = range(len(task.space) + 1)
    choices = nevergrad.p.Tuple(*(nevergrad.p.Choice(list(slot)) for _ in range(_SLOTS)))
    choices.random_state.seed(seed)
    optimizer = nevergrad.optimizers.DiscreteOnePlusOne(parametrization=choices, budget=budget)
    best = task.oz
    for _ in range(budget):
        asked = optimizer.ask()
        measured = _combined(task, [i - 1 for i in dict.fromkeys(asked.value) if i > 0])
        best = _better(task, best, measured)
        optimizer.tell(asked, float("inf") if measured is None else float(_size(measured)))
    return best


METHODS: Mapping[str, Callable[[Task, int, int], Measured]] = {
    "trimtab": trimtab,
    "random": random_search,
    "nevergrad-1+1": nevergrad_one_plus_one,
}


def _combined(task: Task, chosen: Sequence[int]) -> Measured | None:
    candidate = Candidate(name="Oz")
    for index in chosen:
        candidate = candidate.joined(task.space[index])
    try:
        recipe = Recipe(pipeline=candidate.pipeline(task.defaults))
    except ValueError:  # one change took away the other's place
        return None
    (measured,) = task.engine.measure([recipe])
    return measured if measured.outcome is Outcome.OK else None


def _better(task: Task, best: Measured, measured: Measured | None) -> Measured:
    return measured if measured is not None and _size(measured) < _size(best) else best


def _size(measured: Measured) -> int:
    assert measured.sizes is not None
    return measured.sizes.of(METRIC)

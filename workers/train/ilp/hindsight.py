"""States to learn from that cost nothing more: what an ordinary run of the neighbourhood search did, read backwards.

At each improved incumbent x: the variables that the next h improvements changed, together, are a set that would have gained
them all at once (positive); the sets that were closed to optimality without a gain, at x or at the incumbents around it,
are negatives. As SPL-LNS (2508.16171) relabels its own runs. An incumbent stands for one or two failures only, so those of
its neighbours count too, unless they hold a set that gained at x; about them the label is a guess, not a proof. The states
have the form of the expert's (workers.train.ilp.states).

    python -m workers.train ilp hindsight --instances 24        # resumable: one .npz an instance, written when it is done
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from search.lns.constructive import constructive
from search.lns.guide import Guide
from search.lns.loop import LnsLoop, LnsParams, Step
from search.lns.neighbourhoods import (
    ConstraintBlockNeighbourhood,
    LbRelaxSampling,
    RandomNeighbourhood,
    RinsNeighbourhood,
    VariableGraphNeighbourhood,
)
from search.lns.sub_mip import Slicer
from solvers.highs import HighsSolver
from solvers.types import Floats, MilpModel
from workers.corpus import integer_programs
from workers.train.ilp.states import State, path_of, save

FIRST_SEED = 201  # the expert's instances are 1, 2, …; training may use any seed below 500


@dataclass(frozen=True, kw_only=True)
class Hindsight:
    """How a run is made and read."""

    seconds: float = 10.0  # of one run
    ahead: int = 4  # h: improvements that make up the largest positive
    least_share: float = 0.5  # of the gain over all of them: what a positive must reach
    least_negatives: int = 4  # an incumbent with fewer teaches nothing
    negatives: int = 45  # at most, a state
    states: int = 8  # at most, a run


@dataclass(kw_only=True)
class Log:
    """Listens to a run: every incumbent, and what was proved to hold nothing better while it stood."""

    incumbents: list[tuple[float, Floats]] = field(default_factory=list)
    failed: list[list[np.ndarray]] = field(default_factory=list)  # parallel to `incumbents`

    def began(self, objective: float, x: Floats) -> None:
        """A better incumbent (or the first)."""
        self.incumbents.append((objective, x))
        self.failed.append([])

    def step(self, step: Step) -> None:
        """One destroy and repair."""
        if step.proved and step.after is None:
            self.failed[-1].append(step.free)


def labelled(log: Log, recipe: Hindsight, rng: np.random.Generator) -> list[State]:
    """The states of a run, in its order; those with the most negatives when there are too many."""
    objectives = [objective for objective, _ in log.incumbents]
    points = [x for _, x in log.incumbents]
    found: dict[int, State] = {}
    for i, x in enumerate(points):
        later = range(i + 1, min(i + recipe.ahead, len(points) - 1) + 1)
        if not later:
            continue
        gain = objectives[i] - objectives[later[-1]]
        kept = [
            j
            for j in reversed(later)
            if objectives[i] - objectives[j] >= recipe.least_share * gain
        ]
        changed = np.zeros(len(x), dtype=bool)
        unions = {}
        for (
            j
        ) in later:  # changed on the way, even when changed back: the way went through it
            changed = changed | (np.abs(points[j] - points[j - 1]) > 0.5)
            unions[j] = changed
        around = (
            log.failed[max(0, i - recipe.ahead) : i]
            + log.failed[i + 1 : i + recipe.ahead + 1]
        )
        first = unions[i + 1]
        failed = log.failed[i] + [
            free for each in around for free in each if not bool(free[first].all())
        ]
        if len(failed) < recipe.least_negatives:
            continue
        chosen = rng.permutation(len(failed))[: recipe.negatives]
        negatives = np.stack([failed[place] for place in chosen])
        found[i] = State(
            x=x,
            positives=np.stack([unions[j] for j in kept]),
            gains=np.array([(objectives[i] - objectives[j]) / gain for j in kept]),
            negatives=negatives,
        )
    best = sorted(found, key=lambda i: -len(found[i].negatives))[: recipe.states]
    return [found[i] for i in sorted(best)]


def run(model: MilpModel, start: Floats, seconds: float, rng: np.random.Generator) -> Log:
    """An ordinary run of the neighbourhood search alone, without the arm that is to learn from it."""
    log = Log()
    until = time.monotonic() + seconds
    slicer = Slicer(model)

    def stopped() -> bool:
        return time.monotonic() >= until

    def remaining_s() -> float:
        return max(0.0, until - time.monotonic())

    guide = Guide(model, stop=stopped, remaining_s=remaining_s)
    log.began(model.objective(start), start)
    LnsLoop(
        model=model,
        slicer=slicer,
        solver=HighsSolver(),
        arms={
            "random": RandomNeighbourhood(model),
            "variable-graph": VariableGraphNeighbourhood(
                model, slicer.by_row, slicer.by_column
            ),
            "constraint-block": ConstraintBlockNeighbourhood(model, slicer.by_row),
            "rins": RinsNeighbourhood(model, guide),
            "lb-relax-s": LbRelaxSampling(model, guide),
        },
        pool=guide.pool,
        setup_s=guide.take_setup_s,
        params=LnsParams(),
        rng=rng,
        publish=lambda objective, x, source: log.began(objective, x),
        others=lambda objective: None,
        stopped=stopped,
        remaining_s=remaining_s,
        on_step=log.step,
    ).run(start)
    return log


def collect(
    family: str, seed: int, recipe: Hindsight, *, say: Callable[[str], object]
) -> list[State]:
    """One run on an instance of a fifth of the paper's size, and what it teaches."""
    model = integer_programs.generate(family, "1/5", seed)
    slicer = Slicer(model)
    rng = np.random.default_rng((seed, 11))
    # The costs are blurred as for the expert (see states.collect), so that there is a way to go.
    noisy = replace(model, c=model.c * np.exp(rng.uniform(-1.0, 1.0, model.n)))
    start = constructive(noisy, slicer.by_row, slicer.by_column)
    if start is None:
        raise RuntimeError(f"{family} seed {seed}: no start solution")
    log = run(model, start, recipe.seconds, rng)
    states = labelled(log, recipe, rng)
    failed = sum(len(each) for each in log.failed)
    mean = (
        math.nan
        if not states
        else float(np.mean([len(state.negatives) for state in states]))
    )
    say(
        f"{family} seed {seed}: {len(log.incumbents)} incumbents, {failed} failed sets, {len(states)} states, "
        f"{mean:.0f} negatives each"
    )
    return states


def collect_all(
    folder: Path, *, instances: int, recipe: Hindsight, say: Callable[[str], object]
) -> None:
    """Every family in turn, seed by seed. Skips what is done."""
    for seed in range(FIRST_SEED, FIRST_SEED + instances):
        for family in integer_programs.FAMILIES:
            path = path_of(folder, family, seed)
            if not path.is_file():
                save(collect(family, seed, recipe, say=say), path)

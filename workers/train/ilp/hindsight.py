"""States to learn from at no extra cost: ordinary runs of the neighbourhood search, read backwards.

Positive at an improved incumbent x: the variables that the next h improvements changed, together, a
set that would have gained all of them at once. Negative: the sets that were closed to optimality
without a gain, at x or at the incumbents around it. SPL-LNS (arXiv 2508.16171) relabels its own
runs this way. An incumbent has one or two failures only, so those of its neighbours count too,
unless they hold a set that gained at x; their label is a guess, not a proof. The states have the
form of the expert's (workers.train.ilp.states).

    python -m workers.train ilp hindsight --instances 24

The step resumes: each instance is one .npz file, written when it is complete.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from search.lns.arms import ArmParts, make_arms
from search.lns.constructive import constructive
from search.lns.deadline import Deadline
from search.lns.guide import Guide
from search.lns.loop import LnsLoop, LnsParams
from search.lns.observer import LnsObserver, Repair
from search.lns.sub_mip import Slicer
from solvers.highs import HighsSolver
from solvers.types import Floats, MilpModel
from trimtab.specs.ilp import Neighbourhood
from workers.corpus import integer_programs
from workers.train.ilp.states import State, path_of, save

ARMS = (
    Neighbourhood.RANDOM,
    Neighbourhood.VARIABLE_GRAPH,
    Neighbourhood.CONSTRAINT_BLOCK,
    Neighbourhood.RINS,
    Neighbourhood.LB_RELAX_S,
)
# The expert's instances are 1, 2, …; training may use any seed below 500.
FIRST_SEED = 201


@dataclass(frozen=True, kw_only=True)
class HindsightParams:
    """Length of a run, and the sets taken from it."""

    seconds: float = 10.0  # of one run
    ahead: int = 4  # h: improvements that make up the largest positive
    least_share: float = 0.5  # of their whole gain, for a positive
    least_negatives: int = 4  # an incumbent with fewer teaches nothing
    negatives: int = 45  # at most, of a state
    states: int = 8  # at most, of a run


@dataclass(kw_only=True)
class Log(LnsObserver):
    """Record of every incumbent, and of the sets that held nothing better at it."""

    incumbents: list[tuple[float, Floats]] = field(default_factory=list)
    # Parallel to `incumbents`.
    failed: list[list[np.ndarray]] = field(default_factory=list)

    def on_improvement(self, objective: float, x: Floats, source: str) -> None:
        """Begin a new incumbent; the first one is the start."""
        self.incumbents.append((objective, x))
        self.failed.append([])

    def on_repair(self, step: Repair) -> None:
        """Record a set that was closed without a gain."""
        if step.proved and step.after is None:
            self.failed[-1].append(step.free)


def labelled(log: Log, params: HindsightParams, rng: np.random.Generator) -> list[State]:
    """Return the states of a run in order; if there are too many, those with most negatives."""
    states: dict[int, State] = {}
    for i in range(len(log.incumbents) - 1):
        state = _state(log, i, params, rng)
        if state is not None:
            states[i] = state
    best = sorted(states, key=lambda i: -len(states[i].negatives))[: params.states]
    return [states[i] for i in sorted(best)]


def _state(
    log: Log, i: int, params: HindsightParams, rng: np.random.Generator
) -> State | None:
    """Return the state of incumbent i; None if it has too few negatives."""
    objective, x = log.incumbents[i]
    last = min(i + params.ahead, len(log.incumbents) - 1)
    gains = {j: objective - log.incumbents[j][0] for j in range(i + 1, last + 1)}
    unions = _changed(log, i, last)
    around = log.failed[max(0, i - params.ahead) : i]
    around = around + log.failed[i + 1 : i + params.ahead + 1]
    failed = log.failed[i] + [
        free
        for failures in around
        for free in failures
        if not bool(free[unions[i + 1]].all())
    ]
    if len(failed) < params.least_negatives:
        return None
    chosen = rng.permutation(len(failed))[: params.negatives]
    positives = [j for j in gains if gains[j] >= params.least_share * gains[last]][::-1]
    return State(
        x=x,
        positives=np.stack([unions[j] for j in positives]),
        gains=np.array([gains[j] / gains[last] for j in positives]),
        negatives=np.stack([failed[index] for index in chosen]),
    )


def _changed(log: Log, i: int, last: int) -> dict[int, np.ndarray]:
    """Map j to (n,) the variables that changed between incumbents i and j.

    A variable that changed back counts: the run passed through it.
    """
    changed = np.zeros(len(log.incumbents[i][1]), dtype=bool)
    unions = {}
    for j in range(i + 1, last + 1):
        step = log.incumbents[j][1] - log.incumbents[j - 1][1]
        changed = changed | (np.abs(step) > 0.5)
        unions[j] = changed
    return unions


def run(model: MilpModel, start: Floats, seconds: float, rng: np.random.Generator) -> Log:
    """Run the neighbourhood search alone, without the arm that is to learn from it."""
    log = Log()
    slicer = Slicer(model)
    guide = Guide(model, deadline=Deadline(time.monotonic() + seconds))
    log.on_improvement(model.objective(start), start, "start")
    LnsLoop(
        guide,
        slicer=slicer,
        solver=HighsSolver(),
        arms=make_arms(ARMS, ArmParts(guide=guide, slicer=slicer)),
        params=LnsParams(),
        rng=rng,
        observer=log,
    ).run(start)
    return log


def collect(
    family: str, seed: int, params: HindsightParams, *, say: Callable[[str], object]
) -> list[State]:
    """Return the states of one run on an instance of a fifth of the paper's size."""
    model = integer_programs.generate(family, "1/5", seed)
    slicer = Slicer(model)
    rng = np.random.default_rng((seed, 11))
    # Greedy by blurred costs, as for the expert (states.collect): a worse start gives more states.
    noisy = replace(model, c=model.c * np.exp(rng.uniform(-1.0, 1.0, model.n)))
    start = constructive(noisy, slicer.by_row, slicer.by_column)
    if start is None:
        raise RuntimeError(f"{family} seed {seed}: no start solution")
    log = run(model, start, params.seconds, rng)
    states = labelled(log, params, rng)
    failed = sum(len(failures) for failures in log.failed)
    counts = [len(state.negatives) for state in states]
    mean = float(np.mean(counts)) if counts else math.nan
    say(
        f"{family} seed {seed}: {len(log.incumbents)} incumbents, {failed} failed sets, "
        f"{len(states)} states, {mean:.0f} negatives each"
    )
    return states


def collect_all(
    folder: Path, *, instances: int, params: HindsightParams, say: Callable[[str], object]
) -> None:
    """Collect states of every family in turn, seed by seed; skip instances that are complete."""
    for seed in range(FIRST_SEED, FIRST_SEED + instances):
        for family in integer_programs.FAMILIES:
            path = path_of(folder, family, seed)
            if not path.is_file():
                save(collect(family, seed, params, say=say), path)

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

from dataclasses import dataclass

import numpy as np

from solvers.types import Bools
from workers.train.ilp.states import State
from workers.train.ilp.trial import Log


@dataclass(frozen=True, kw_only=True)
class HindsightParams:
    """Length of a run, and the sets taken from it."""

    seconds: float = 10.0  # of one run, of processor time
    ahead: int = 4  # h: improvements that make up the largest positive
    least_share: float = 0.5  # of their whole gain, for a positive
    least_negatives: int = 4  # an incumbent with fewer teaches nothing
    negatives: int = 45  # at most, of a state
    states: int = 8  # at most, of a run
    # Sets that ran into their limit, and sets with a gain below this share of the whole, count as
    # negatives too. Where nearly every call improves, hardly any set is closed without a gain.
    weak_share: float = 0.0


def labelled(
    log: Log, params: HindsightParams, rng: np.random.Generator, integer: Bools
) -> list[State]:
    """Return the states of a run in order; if there are too many, those with most negatives.

    integer: (n,) the integer variables. Sets hold these alone: all continuous variables are free
    in every neighbourhood, and there are many more of them than of set-ups.
    """
    states: dict[int, State] = {}
    for i in range(len(log.incumbents) - 1):
        state = _state(log, i, params, rng, integer)
        if state is not None:
            states[i] = state
    best = sorted(states, key=lambda i: -len(states[i].negatives))[: params.states]
    return [states[i] for i in sorted(best)]


def _state(
    log: Log, i: int, params: HindsightParams, rng: np.random.Generator, integer: Bools
) -> State | None:
    """Return the state of incumbent i; None if it has too few negatives."""
    objective, x = log.incumbents[i]
    last = min(i + params.ahead, len(log.incumbents) - 1)
    gains = {j: objective - log.incumbents[j][0] for j in range(i + 1, last + 1)}
    unions = _changed(log, i, last, integer)
    below = params.weak_share * gains[last]
    places = range(max(0, i - params.ahead), min(i + params.ahead + 1, len(log.failed)))
    failed = log.failed[i] + [
        free
        for place in places
        for free in _weak(log, place, below, own=place == i)
        if not bool(free[unions[i + 1]].all())
    ]
    if len(failed) < params.least_negatives:
        return None
    chosen = rng.permutation(len(failed))[: params.negatives]
    positives = [
        j
        for j in gains
        if gains[j] >= params.least_share * gains[last] and unions[j].any()
    ][::-1]
    if not positives:
        return None
    return State(
        x=x,
        positives=np.stack([unions[j] for j in positives]),
        gains=np.array([gains[j] / gains[last] for j in positives]),
        negatives=np.stack([failed[index] & integer for index in chosen]),
    )


def _weak(log: Log, place: int, below: float, *, own: bool) -> list[np.ndarray]:
    """Return the sets tried at an incumbent that gained nothing, or less than `below`.

    own: leave out those closed without a gain, which need no comparison at their own incumbent.
    """
    sets = [] if own else list(log.failed[place])
    if below <= 0:
        return sets
    sets += log.unproved[place]
    won = log.won[place]
    if won is not None and place + 1 < len(log.incumbents):
        gain = log.incumbents[place][0] - log.incumbents[place + 1][0]
        sets += [won] if gain < below else []
    return sets


def _changed(log: Log, i: int, last: int, integer: Bools) -> dict[int, np.ndarray]:
    """Map j to (n,) the integer variables that changed between incumbents i and j.

    A variable that changed back counts: the run passed through it.
    """
    changed = np.zeros(len(log.incumbents[i][1]), dtype=bool)
    unions = {}
    for j in range(i + 1, last + 1):
        step = log.incumbents[j][1] - log.incumbents[j - 1][1]
        changed = changed | (integer & (np.abs(step) > 0.5))
        unions[j] = changed
    return unions

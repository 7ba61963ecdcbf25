"""(1+1) search for the best mean over programs; a change that lags is dropped early."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from search.domains.compile.search.edits import Candidate, Edit
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import Measured, Metric, Outcome, Recipe

Floats = NDArray[np.float64]
BLOCK = 8
# (blocks, lag): after so many blocks a change is dropped when it lags by more on the mean so far.
_LAGS = ((1, 2e-3), (2, 5e-4), (4, 0.0))
_LEAST_GAIN = 5e-5  # of the mean: a change below it is noise
_MOST_REPEATS = (
    1000  # draws in a row of pipelines that were tried, after which a climb ends
)


class Measurer(Protocol):
    """Part of an engine that a race uses."""

    def measure(self, recipes: Sequence[Recipe]) -> list[Measured]:
        """Return the result of every recipe, in order."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """Programs of a race.

    A pipeline saves 0 where it is larger than -Oz, because -Oz is then the answer.
    """

    engines: Sequence[Measurer]
    baseline: Floats  # (N,) sizes of -Oz
    weights: Floats  # (N,) equal for every package
    metric: Metric
    block: int = BLOCK  # programs after which a laggard is dropped
    # Standard errors of the paired gain by which a pipeline must be ahead; 0: any gain counts.
    margin: float = 0.0

    def saved(self, recipe: Recipe, chosen: NDArray[np.int64]) -> Floats | None:
        """Return (len(chosen),) shares saved; None when the recipe failed on any program."""
        shares = []
        for i in chosen:
            (measured,) = self.engines[i].measure([recipe])
            if measured.outcome is not Outcome.OK:
                return None
            shares.append(
                max(0.0, 1.0 - size_of(measured, self.metric) / self.baseline[i])
            )
        return np.array(shares)

    def mean(self, saved: Floats) -> float:
        """Return the weighted mean over all programs."""
        return float(self.weights @ saved)

    def ahead(
        self, recipe: Recipe, incumbent: Floats, rng: np.random.Generator
    ) -> Floats | None:
        """Return (N,) shares saved when a recipe beats `incumbent` to the end; None otherwise."""
        order = rng.permutation(len(self.engines))
        saved = np.zeros(len(order))
        for done, low in enumerate(range(0, len(order), self.block), start=1):
            block = order[low : low + self.block]
            shares = self.saved(recipe, block)
            if shares is None:
                return None
            saved[block] = shares
            run = order[: low + self.block]
            lead = float(
                self.weights[run] @ (saved - incumbent)[run] / self.weights[run].sum()
            )
            if any(done >= blocks and lead < -lag for blocks, lag in _LAGS):
                return None
        return saved if self.is_ahead(saved, incumbent) else None

    def is_ahead(self, saved: Floats, incumbent: Floats) -> bool:
        """Tell whether (N,) shares are better on the mean by more than the margin."""
        gain = saved - incumbent
        mean = self.mean(gain)
        error = float(np.sqrt((self.weights**2) @ (gain - mean) ** 2))
        return mean > _LEAST_GAIN + self.margin * error


@dataclass(frozen=True, kw_only=True, eq=False)
class Changes:
    """Changes that a climb draws from."""

    edits: Sequence[Edit]  # those of the best compounds first
    unmeasured: Sequence[Candidate]  # single changes, tried once each before any is drawn
    defaults: Mapping[str, str]  # level → pipeline of the installed LLVM
    # (len(edits),) that sum to 1: edits are drawn in proportion. None: the first third more often.
    chances: Floats | None = None


def climb(
    track: Track,
    start: tuple[Candidate, Floats],
    changes: Changes,
    rng: np.random.Generator,
    *,
    over: Callable[[int], bool],
    on_better: Callable[[Candidate, Floats, int], None],
) -> tuple[Candidate, int]:
    """Return the best pipeline on the mean by a (1+1) search, and how many changes were tried.

    Args:
        track: programs, and how a change is raced on them.
        start: a pipeline and its (N,) shares saved.
        changes: what is drawn.
        rng: of the draws.
        over: called with the number of changes tried; True ends the search.
        on_better: called with each better pipeline, its shares, and that number.
    """
    best, saved = start
    unmeasured, tried = list(changes.unmeasured), {best.digest}
    runs = draws = 0
    # Draws that were tried already cost nothing, and in a small space may be all that are left.
    while not over(runs) and draws < _MOST_REPEATS:
        changed = (
            renamed(best.joined(unmeasured.pop(0)))
            if unmeasured
            else change(best, changes.edits, rng, changes.chances)
        )
        draws += 1
        if changed.digest in tried:
            continue
        tried.add(changed.digest)
        try:
            recipe = changed.recipe(changes.defaults)
        except BadPipeline:
            continue
        runs, draws = runs + 1, 0
        shares = track.ahead(recipe, saved, rng)
        if shares is not None:
            best, saved = changed, shares
            on_better(best, saved, runs)
    return best, runs


def change(
    candidate: Candidate,
    edits: Sequence[Edit],
    rng: np.random.Generator,
    chances: Floats | None = None,
) -> Candidate:
    """Add an edit, drop one, or swap one for another.

    Edits are drawn with `chances`; without them, the first third of `edits`, those of the best
    compounds, is drawn more often.
    """
    changed = list(candidate.edits)
    move = rng.choice(["add", "drop", "swap"], p=[0.6, 0.2, 0.2])
    if move != "add" and changed:
        changed.pop(int(rng.integers(len(changed))))
    if move != "drop":
        edit = edits[_draw(len(edits), rng, chances)]
        if edit not in changed:
            changed.insert(int(rng.integers(len(changed) + 1)), edit)
    return renamed(replace(candidate, edits=tuple(changed)))


def _draw(count: int, rng: np.random.Generator, chances: Floats | None) -> int:
    if chances is not None:
        return int(rng.choice(count, p=chances))
    among = count // 3 if rng.random() < 0.5 else count
    return int(rng.integers(max(1, among)))


def renamed(candidate: Candidate) -> Candidate:
    """Return the candidate with a name after its digest."""
    return replace(candidate, name=f"race-{candidate.digest[:8]}")


def size_of(measured: Measured, metric: Metric) -> float:
    """Return a program's size; infinite for one that was not made."""
    return (
        float(measured.sizes.of(metric)) if measured.sizes is not None else float("inf")
    )

"""Race for the pipeline to try first: a (1+1) search for the best mean over programs.

It starts from the best compound so far and changes it by one edit at a time: first it adds each
single change that was never measured, then it draws changes. A change runs on the programs in
blocks and is dropped as soon as it is behind the incumbent; most need a quarter of the programs
(a race as in Maron and Moore 1993, with a fixed rule in place of their bound). Every better
pipeline is a candidate of its own, so that the greedy coreset decides which remain.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from search.domains.compile.search.candidates import changes_of_oz
from search.domains.compile.search.coreset import LISTS, load_coreset
from search.domains.compile.search.edits import Candidate, Edit
from solvers.llvm.engine import Engine
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import EngineLimits, Measured, Metric, Outcome, Recipe
from trimtab.specs.compile import Tier
from workers.corpus.build import read
from workers.train.compile.matrix import reward
from workers.train.compile.mine import mined, package_weights, raced, spread

Floats = NDArray[np.float64]
_MODULES, _MOST_INSTRUCTIONS = 64, 1500
_STARTS = 8  # best compounds so far, run on the same programs
_BLOCK = 8
# (blocks, lag): after so many blocks a change is dropped when it lags by more on the mean so far.
_LAGS = ((1, 2e-3), (2, 5e-4), (4, 0.0))
_LEAST_GAIN = 5e-5  # of the mean: a change below it is noise
_CANDIDATE_S = 10.0
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
    block: int = _BLOCK  # programs after which a laggard is dropped
    # Standard errors of the paired gain by which a pipeline must be ahead; 0: any gain counts.
    margin: float = 0.0

    def saved(self, recipe: Recipe, chosen: NDArray[np.int64]) -> Floats | None:
        """Return (len(chosen),) shares saved; None when the recipe failed on any program."""
        shares = []
        for i in chosen:
            (measured,) = self.engines[i].measure([recipe])
            if measured.outcome is not Outcome.OK:
                return None
            shares.append(max(0.0, 1.0 - _size(measured, self.metric) / self.baseline[i]))
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


def race(
    folder: Path, *, metric: Metric, seconds: float, seed: int, say: Callable[[str], None]
) -> Candidate:
    """Return the best pipeline on the mean after `seconds`.

    Each better one on the way is written to mined-race-<metric>.jsonl.
    """
    ends, rng = time.monotonic() + seconds, np.random.default_rng(seed)
    modules = _modules(folder)
    with ExitStack() as stack:
        engines = [
            stack.enter_context(_engine(folder, str(row["sha"]))) for row in modules
        ]
        defaults = engines[0].default_pipelines()
        track = _track(engines, modules, Recipe(pipeline=defaults["Oz"]), metric)
        space = changes_of_oz(defaults, metric)
        compounds = compounds_so_far(folder, metric, space)
        digests = {candidate.digest for candidate in compounds}
        unmeasured = [candidate for candidate in space if candidate.digest not in digests]
        edits = list(dict.fromkeys(e for c in (*compounds, *space) for e in c.edits))
        best, saved = best_start(track, compounds[:_STARTS], defaults)
        say(
            f"{len(engines)} programs; starts from {best.name}, {track.mean(saved):.3%}, "
            f"{len(best.edits)} changes"
        )

        def better(candidate: Candidate, shares: Floats, runs: int) -> None:
            _write(folder, metric, candidate, track.mean(shares))
            say(
                f"{track.mean(shares):.3%} on the mean after {runs} changes tried: "
                f"{candidate.name}, {len(candidate.edits)} changes"
            )

        best, runs = climb(
            track,
            (best, saved),
            Changes(edits=edits, unmeasured=unmeasured, defaults=defaults),
            rng,
            over=lambda runs: time.monotonic() >= ends,
            on_better=better,
        )
        say(f"{runs} changes tried")
    return best


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
            _renamed(best.joined(unmeasured.pop(0)))
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


def _modules(folder: Path) -> list[dict[str, object]]:
    """Small training modules, spread over packages."""
    small = [
        row
        for row in read(folder)
        if row["split"] == "train"
        and int(str(row["ir_instructions"])) <= _MOST_INSTRUCTIONS
    ]
    return spread(small, _MODULES)


def _track(
    engines: Sequence[Measurer],
    modules: Sequence[Mapping[str, object]],
    oz: Recipe,
    metric: Metric,
) -> Track:
    sizes = [_size(engine.measure([oz])[0], metric) for engine in engines]
    return Track(
        engines=engines,
        baseline=np.array(sizes),
        weights=package_weights([str(row["package"]) for row in modules]),
        metric=metric,
    )


def best_start(
    track: Track, candidates: Sequence[Candidate], defaults: Mapping[str, str]
) -> tuple[Candidate, Floats]:
    """Return (best candidate on the mean, its shares saved); -Oz when none saves anything."""
    everything = np.arange(len(track.engines))
    best, saved = Candidate(name="Oz"), np.zeros(len(track.engines))
    for candidate in candidates:
        try:
            shares = track.saved(candidate.recipe(defaults), everything)
        except BadPipeline:
            continue
        if shares is not None and track.mean(shares) > track.mean(saved):
            best, saved = candidate, shares
    return best, saved


def compounds_so_far(
    folder: Path, metric: Metric, space: Sequence[Candidate]
) -> list[Candidate]:
    """Return the compounds measured on training programs, best on the mean first.

    Before the first reward matrix, those of an earlier race and of the published coreset.
    """
    measured = reward(folder, splits=("train",), metric=LISTS[metric])
    if not measured.digests:
        coreset = (
            candidate
            for candidate in load_coreset(metric)
            if candidate.edits and candidate.tier is Tier.DEFAULT
        )
        return [*reversed(raced(folder, metric)), *coreset]
    by_digest = {
        c.digest: c
        for c in (*mined(folder), *space)
        if c.base == "Oz" and c.tier is Tier.DEFAULT
    }
    means = package_weights(measured.packages) @ np.maximum(0.0, measured.saved)
    digests = [measured.digests[j] for j in np.argsort(-means)]
    return [by_digest[digest] for digest in digests if digest in by_digest]


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
    return _renamed(replace(candidate, edits=tuple(changed)))


def _draw(count: int, rng: np.random.Generator, chances: Floats | None) -> int:
    if chances is not None:
        return int(rng.choice(count, p=chances))
    among = count // 3 if rng.random() < 0.5 else count
    return int(rng.integers(max(1, among)))


def _renamed(candidate: Candidate) -> Candidate:
    return replace(candidate, name=f"race-{candidate.digest[:8]}")


def _write(folder: Path, metric: Metric, candidate: Candidate, saved: float) -> None:
    with (folder / f"mined-race-{metric.value}.jsonl").open("a") as file:
        file.write(json.dumps({"saved": saved, "candidate": candidate.as_json()}) + "\n")


def _engine(folder: Path, sha: str) -> Engine:
    bitcode = (folder / "modules" / f"{sha[:16]}.bc").read_bytes()
    return Engine(bitcode, limits=EngineLimits(candidate_s=_CANDIDATE_S))


def _size(measured: Measured, metric: Metric) -> float:
    return (
        float(measured.sizes.of(metric)) if measured.sizes is not None else float("inf")
    )

"""The pipeline to try first when nothing is known of the program: a (1+1) search for the best on the mean of many programs.

It goes on from the best compound known so far and changes it one edit at a time: first adds each single change that was never
measured, in turn, then draws. A change runs on the programs in blocks and is out as soon as it is behind the incumbent: most
need a quarter of the programs (a race, Maron and Moore 1994, with a plain rule in place of their bound). Every better one is a
candidate of its own, so that the coreset's greedy decides what stays.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

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
_STARTS = 8  # best known compounds, run on the same programs
_BLOCK = 8
_BEHIND = (
    (1, 2e-3),
    (2, 5e-4),
    (4, 0.0),
)  # blocks done → out when so much behind on the mean so far
_LEAST_GAIN = 5e-5  # of the mean: a change below it is noise
_CANDIDATE_S = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """Programs a pipeline is run on; what it saves on each, -Oz being the answer where it is larger."""

    engines: Sequence[Engine]
    baseline: Floats  # (N,) sizes of -Oz
    weights: Floats  # (N,) packages alike
    metric: Metric

    def saved(self, recipe: Recipe, chosen: NDArray[np.int64]) -> Floats | None:
        """(len(chosen),) shares; None when it failed anywhere: such a pipeline is nobody's first."""
        found = []
        for i in chosen:
            (measured,) = self.engines[i].measure([recipe])
            if measured.outcome is not Outcome.OK:
                return None
            found.append(max(0.0, 1.0 - _size(measured, self.metric) / self.baseline[i]))
        return np.array(found)

    def mean(self, saved: Floats) -> float:
        """Of all programs."""
        return float(self.weights @ saved)

    def ahead(
        self, recipe: Recipe, incumbent: Floats, rng: np.random.Generator
    ) -> Floats | None:
        """(N,) what it saves, when it stays in the race against `incumbent` to the end."""
        order = rng.permutation(len(self.engines))
        saved = np.zeros(len(order))
        for done, low in enumerate(range(0, len(order), _BLOCK), start=1):
            block = order[low : low + _BLOCK]
            found = self.saved(recipe, block)
            if found is None:
                return None
            saved[block] = found
            run = order[: low + _BLOCK]
            lead = float(
                self.weights[run] @ (saved - incumbent)[run] / self.weights[run].sum()
            )
            if any(done >= blocks and lead < -behind for blocks, behind in _BEHIND):
                return None
        return saved if self.mean(saved) > self.mean(incumbent) + _LEAST_GAIN else None


def race(
    folder: Path, *, metric: Metric, seconds: float, seed: int, say: Callable[[str], None]
) -> Candidate:
    """The best on the mean after so many seconds; each better one on the way goes into mined-race-<metric>.jsonl."""
    ends, rng = time.monotonic() + seconds, np.random.default_rng(seed)
    small = [
        r
        for r in read(folder)
        if r["split"] == "train" and int(str(r["ir_instructions"])) <= _MOST_INSTRUCTIONS
    ]
    modules = spread(small, _MODULES)
    with ExitStack() as stack:
        engines = [stack.enter_context(_engine(folder, str(row["sha"]))) for row in modules]
        defaults = engines[0].default_pipelines()
        oz = [engine.measure([Recipe(pipeline=defaults["Oz"])])[0] for engine in engines]
        track = Track(
            engines=engines,
            baseline=np.array([_size(measured, metric) for measured in oz]),
            weights=package_weights([str(row["package"]) for row in modules]),
            metric=metric,
        )
        space = changes_of_oz(defaults, metric)
        known = _known(folder, metric, space)
        measured = {candidate.digest for candidate in known}
        unmeasured = [candidate for candidate in space if candidate.digest not in measured]
        edits = list(
            dict.fromkeys(
                edit for candidate in (*known, *space) for edit in candidate.edits
            )
        )
        best, saved = Candidate(name="Oz"), np.zeros(len(engines))
        for candidate in known[:_STARTS]:
            found = track.saved(candidate.recipe(defaults), np.arange(len(engines)))
            if found is not None and track.mean(found) > track.mean(saved):
                best, saved = candidate, found
        say(
            f"{len(engines)} programs; starts from {best.name}, {track.mean(saved):.3%}, {len(best.edits)} changes"
        )
        tried, runs = {best.digest}, 0
        while time.monotonic() < ends:
            changed = (
                _renamed(best.joined(unmeasured.pop(0)))
                if unmeasured
                else _changed(best, edits, rng)
            )
            if changed.digest in tried:
                continue
            tried.add(changed.digest)
            try:
                recipe = changed.recipe(defaults)
            except BadPipeline:
                continue
            runs += 1
            found = track.ahead(recipe, saved, rng)
            if found is not None:
                best, saved = changed, found
                _write(folder, metric, best, track.mean(saved))
                say(
                    f"{track.mean(saved):.3%} on the mean after {runs} changes tried: {best.name}, {len(best.edits)} changes"
                )
        say(f"{runs} changes tried")
    return best


def _known(folder: Path, metric: Metric, space: Sequence[Candidate]) -> list[Candidate]:
    """What was measured on the training programs, best on the mean first; before that, an earlier race's and the published."""
    found = reward(folder, splits=("train",), metric=LISTS[metric])
    if not found.digests:
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
    means = package_weights(found.packages) @ np.maximum(0.0, found.saved)
    return [
        by_digest[found.digests[j]]
        for j in np.argsort(-means)
        if found.digests[j] in by_digest
    ]


def _changed(
    candidate: Candidate, edits: Sequence[Edit], rng: np.random.Generator
) -> Candidate:
    """One edit more (early ones of `edits`, those of the best compounds, twice as often), or one less, or one for another."""
    kept = list(candidate.edits)
    move = rng.choice(["add", "drop", "swap"], p=[0.6, 0.2, 0.2])
    if move != "add" and kept:
        kept.pop(int(rng.integers(len(kept))))
    if move != "drop":
        among = len(edits) // 3 if rng.random() < 0.5 else len(edits)
        edit = edits[int(rng.integers(max(1, among)))]
        if edit not in kept:
            kept.insert(int(rng.integers(len(kept) + 1)), edit)
    return _renamed(replace(candidate, edits=tuple(kept)))


def _renamed(candidate: Candidate) -> Candidate:
    return replace(candidate, name=f"race-{candidate.digest[:8]}")


def _write(folder: Path, metric: Metric, candidate: Candidate, saved: float) -> None:
    with (folder / f"mined-race-{metric.value}.jsonl").open("a") as file:
        file.write(json.dumps({"saved": saved, "candidate": candidate.as_json()}) + "\n")


def _engine(folder: Path, sha: str) -> Engine:
    bitcode = (folder / "modules" / f"{sha[:16]}.bc").read_bytes()
    return Engine(bitcode, limits=EngineLimits(candidate_s=_CANDIDATE_S))


def _size(measured: Measured, metric: Metric) -> float:
    return float(measured.sizes.of(metric)) if measured.sizes is not None else float("inf")

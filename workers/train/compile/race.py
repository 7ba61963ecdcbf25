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
from pathlib import Path

import numpy as np

from search.domains.compile.search.candidates import changes_of_oz
from search.domains.compile.search.coreset import LISTS, load_coreset
from search.domains.compile.search.edits import Candidate
from solvers.llvm.engine import Engine
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import EngineLimits, Metric, Recipe
from trimtab.specs.compile import Tier
from workers.corpus.build import read
from workers.train.compile.climb import Changes, Floats, Measurer, Track, climb, size_of
from workers.train.compile.matrix import reward
from workers.train.compile.mine import mined, package_weights, raced, spread

_MODULES, _MOST_INSTRUCTIONS = 64, 1500
_STARTS = 8  # best compounds so far, run on the same programs
_CANDIDATE_S = 10.0


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
    sizes = [size_of(engine.measure([oz])[0], metric) for engine in engines]
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


def _write(folder: Path, metric: Metric, candidate: Candidate, saved: float) -> None:
    with (folder / f"mined-race-{metric.value}.jsonl").open("a") as file:
        file.write(json.dumps({"saved": saved, "candidate": candidate.as_json()}) + "\n")


def _engine(folder: Path, sha: str) -> Engine:
    bitcode = (folder / "modules" / f"{sha[:16]}.bc").read_bytes()
    return Engine(bitcode, limits=EngineLimits(candidate_s=_CANDIDATE_S))

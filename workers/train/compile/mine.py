"""Compound candidates: the best of a search on one program, and the best on the mean of all.

As the paper's pool takes each program's best sequence (Liang et al., "Learning Compiler Pass
Orders using Coreset and Normalized Value Prediction", ICML 2023), the (1+1) search over single
changes of -Oz runs on each training module, and the changes it ends with, without those that do
not help, are a candidate for all programs. Another pipeline is built change by change so that
the mean over packages grows most: the candidate to try first. Both resume.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.compile.search.candidates import changes_of_oz
from search.domains.compile.search.coreset import LISTS, load_coreset
from search.domains.compile.search.edits import Candidate
from search.domains.compile.search.local_search import (
    ProductSpace,
    SearchLimits,
    optimise,
)
from solvers.llvm.engine import Engine
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import EngineLimits, Measured, Metric, Outcome, Recipe
from trimtab.specs.compile import Tier
from workers.corpus.build import read

EVALUATIONS = 100  # compilations of a module's search
_MOST_INSTRUCTIONS = 3000  # larger ones take most of the time and are few
_CANDIDATE_S = 20.0
_LEAST_GAIN = 1e-5  # of the mean: a change below it is noise
# Of the pipeline that is best on the mean: modules, changes, changes tried in a step.
_MODULES, _STEPS, _TRIED = 40, 8, 40
_OF_A_RACE = 6  # last compounds of each race that become candidates


def mined(folder: Path) -> list[Candidate]:
    """Return every compound so far, each once.

    Those of the published coreset come first, so that earlier results are not lost.
    """
    by_digest = {c.digest: c for metric in LISTS for c in load_coreset(metric) if c.edits}
    for path in sorted(folder.glob("mined*.jsonl")):
        for line in path.read_text().splitlines():
            candidate = Candidate.from_json(json.loads(line)["candidate"])
            if candidate.edits:
                by_digest.setdefault(candidate.digest, candidate)
    return list(by_digest.values())


def raced(folder: Path, metric: Metric | None = None) -> list[Candidate]:
    """Return the last few compounds of the race of each metric, or of one."""
    paths = sorted(
        folder.glob(f"mined-race-{'*' if metric is None else metric.value}.jsonl")
    )
    lines = [
        line for path in paths for line in path.read_text().splitlines()[-_OF_A_RACE:]
    ]
    return [Candidate.from_json(json.loads(line)["candidate"]) for line in lines]


def useful(
    folder: Path,
    metric: Metric,
    space: Sequence[Candidate],
    counted: Mapping[str, int],
    programs: Collection[str],
) -> tuple[dict[str, int], list[str]]:
    """Count in how many training programs' results each single change is.

    Returns (digest of the change → count, first 16 digits of the programs' sha256). counted,
    programs: the same of earlier minings, to which those of this folder are added.
    """
    rows = {
        row["sha"][:16]: row for row in _rows(folder, f"mined-{metric.value}-*.jsonl")
    }
    fresh = [sha for sha in rows if sha not in programs]  # no program is counted twice
    ends = [set(Candidate.from_json(rows[sha]["candidate"]).edits) for sha in fresh]
    counts = Counter(counted)
    counts.update(
        {c.digest: sum(set(c.edits) <= end for end in ends) for c in space if c.edits}
    )
    return {digest: count for digest, count in counts.items() if count}, sorted(
        {*programs, *fresh}
    )


def mine(
    folder: Path,
    *,
    metric: Metric,
    say: Callable[[str], None],
    part: tuple[int, int] = (0, 1),
) -> None:
    """Search on each training module, packages in turn.

    part: (index, number) of the processes that share the modules.
    """
    out = folder / f"mined-{metric.value}-{part[0]}.jsonl"
    done = {row["sha"] for row in _rows(folder, f"mined-{metric.value}-*.jsonl")}
    train = [
        r
        for r in read(folder)
        if r["split"] == "train" and int(str(r["ir_instructions"])) <= _MOST_INSTRUCTIONS
    ]
    modules = spread(train, len(train))[part[0] :: part[1]]
    starts = [
        *raced(folder, metric),
        *(c for c in load_coreset(metric) if c.tier is Tier.DEFAULT),
    ]
    for number, row in enumerate(modules):
        if row["sha"] in done:
            continue
        with _engine(folder, str(row["sha"])) as engine:
            candidate, saved, tried = _of_module(
                engine, metric, starts, seed=int(str(row["sha"])[:8], 16)
            )
        line = {
            "sha": row["sha"],
            "package": row["package"],
            "saved": saved,
            "candidate": candidate.as_json(),
        }
        with out.open("a") as file:
            file.write(json.dumps(line) + "\n")
        say(
            f"{number + 1} of {len(modules)}: {row['package']}/{row['name']}: {saved:.2%} in "
            f"{tried} pipelines: {candidate.name}"
        )


def _of_module(
    engine: Engine, metric: Metric, starts: Sequence[Candidate], *, seed: int
) -> tuple[Candidate, float, int]:
    defaults = engine.default_pipelines()
    (baseline,) = engine.measure([Recipe(pipeline=defaults["Oz"])])
    if baseline.sizes is None:
        return Candidate(name="Oz"), 0.0, 1
    result = optimise(
        engine,
        ProductSpace(
            metric=metric,
            defaults=defaults,
            coreset=starts,
            changes=changes_of_oz(defaults, metric),
            minsize=False,
            inlining=False,
        ),
        SearchLimits(evaluations=EVALUATIONS),
        baseline=baseline,
        rng=np.random.default_rng(seed),
        on_better=lambda name, measured: True,
    )
    candidate, best = _minimal(
        engine, result.candidate, _size(result.best, metric), metric
    )
    saved = 1.0 - best / _size(baseline, metric)
    return (
        replace(candidate, name=f"mined-{candidate.digest[:8]}"),
        saved,
        len(result.table),
    )


def _minimal(
    engine: Engine, candidate: Candidate, size: float, metric: Metric
) -> tuple[Candidate, float]:
    """(candidate without the changes that do not help on this program, its size)."""
    defaults = engine.default_pipelines()
    for edit in candidate.edits:
        fewer = replace(
            candidate, edits=tuple(other for other in candidate.edits if other != edit)
        )
        try:
            recipe = fewer.recipe(defaults)
        except BadPipeline:
            continue
        (measured,) = engine.measure([recipe])
        if _size(measured, metric) <= size:
            candidate, size = fewer, _size(measured, metric)
    return candidate, size


def best_on_mean(folder: Path, *, metric: Metric, say: Callable[[str], None]) -> None:
    """Build the pipeline that saves most on the mean of packages, change by change.

    Every prefix of it is a candidate.
    """
    modules = spread([row for row in read(folder) if row["split"] == "train"], _MODULES)
    weights = package_weights([str(row["package"]) for row in modules])
    out = folder / f"mined-mean-{metric.value}.jsonl"
    with ExitStack() as stack:
        engines = [
            stack.enter_context(_engine(folder, str(row["sha"]))) for row in modules
        ]
        defaults = engines[0].default_pipelines()
        baseline = _sizes(engines, Recipe(pipeline=defaults["Oz"]), metric)

        def mean(candidate: Candidate) -> float:
            try:
                recipe = candidate.recipe(defaults)
            except BadPipeline:
                return -np.inf
            return float(weights @ (1.0 - _sizes(engines, recipe, metric) / baseline))

        space = changes_of_oz(defaults, metric)
        alone = np.array([mean(candidate) for candidate in space])
        order = np.argsort(-alone)[:_TRIED]
        chosen, value = space[order[0]], float(alone[order[0]])
        for step in range(_STEPS):
            line = {
                "saved": value,
                "candidate": replace(chosen, name=f"mean-{chosen.digest[:8]}").as_json(),
            }
            with out.open("a") as file:
                file.write(json.dumps(line) + "\n")
            say(
                f"{step + 1} changes save {value:.3%} on the mean of {len(modules)} modules: "
                f"{chosen.name}"
            )
            tried = [
                chosen.joined(space[index])
                for index in order
                if space[index].edits[0] not in chosen.edits
            ]
            values = [mean(candidate) for candidate in tried]
            best = int(np.argmax(values))
            if values[best] <= value + _LEAST_GAIN:
                return
            chosen, value = tried[best], values[best]


def _sizes(engines: Sequence[Engine], recipe: Recipe, metric: Metric) -> np.ndarray:
    """(modules,) sizes; infinite where the recipe failed."""
    return np.array([_size(engine.measure([recipe])[0], metric) for engine in engines])


def spread(rows: list[dict[str, object]], count: int) -> list[dict[str, object]]:
    """Choose about `count` rows, as many of each package as there are."""
    packages: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        packages.setdefault(str(row["package"]), []).append(row)
    chosen: list[dict[str, object]] = []
    for layer in range(max(map(len, packages.values()))):
        for members in packages.values():
            if layer < len(members) and len(chosen) < count:
                chosen.append(members[layer])
    return chosen


def package_weights(packages: Sequence[str]) -> np.ndarray:
    """Return (programs,) weights that sum to 1, equal for every package."""
    names, index, counts = np.unique(packages, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (len(names) * counts[index]))


def _size(measured: Measured, metric: Metric) -> float:
    return (
        float(measured.sizes.of(metric))
        if measured.outcome is Outcome.OK and measured.sizes
        else float("inf")
    )


def _engine(folder: Path, sha: str) -> Engine:
    bitcode = (folder / "modules" / f"{sha[:16]}.bc").read_bytes()
    return Engine(bitcode, limits=EngineLimits(candidate_s=_CANDIDATE_S))


def _rows(folder: Path, pattern: str) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob(pattern)):
        yield from (json.loads(line) for line in path.read_text().splitlines())

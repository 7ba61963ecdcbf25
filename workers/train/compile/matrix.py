"""Reward matrix: sizes of the corpus's programs by every candidate, one JSON line each.

Measurements are cached by (module, candidate, LLVM build), so that an interrupted run resumes,
and new modules and candidates are added.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.domains.compile.search.candidates import candidate_space
from search.domains.compile.search.edits import Candidate
from solvers.llvm.engine import Engine
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import EngineLimits, Outcome, Recipe
from workers.corpus.build import read
from workers.train.compile.mine import mined, raced, spread

SCREENED = "screened.json"
_CANDIDATE_S = 20.0
# Share of the programs that a candidate must be measured on to count.
_LEAST_MEASURED = 0.9


def measure(
    folder: Path,
    *,
    splits: tuple[str, ...],
    say: Callable[[str], None],
    part: tuple[int, int] = (0, 1),
) -> None:
    """Measure every candidate on every module into matrix.jsonl.

    Once candidates are screened, only those and the race's. Packages take turns, so that an
    interrupted run covers all of them. part: (index, number) of the processes that share the
    modules.
    """
    todo = [row for row in read(folder) if row["split"] in splits]
    todo = spread(todo, len(todo))[part[0] :: part[1]]
    digests = None
    if (folder / SCREENED).is_file():
        digests = {
            *json.loads((folder / SCREENED).read_text())["candidates"],
            *(c.digest for c in raced(folder)),
        }
    fill(
        folder,
        todo,
        digests,
        out=f"matrix-{part[0]}.jsonl" if part[1] > 1 else "matrix.jsonl",
        say=say,
    )


def fill(
    folder: Path,
    modules: Sequence[dict[str, object]],
    digests: set[str] | None,
    *,
    out: str,
    say: Callable[[str], None],
) -> None:
    """Measure the candidates with these digests (None: all), and -Oz, on `modules`.

    Pairs that were measured before are skipped.
    """
    done = {(row["sha"], row["candidate"], row["llvm"]) for row in rows(folder)}
    compounds = mined(folder)
    for number, row in enumerate(modules):
        bitcode = (folder / "modules" / f"{str(row['sha'])[:16]}.bc").read_bytes()
        with Engine(bitcode, limits=EngineLimits(candidate_s=_CANDIDATE_S)) as engine:
            candidates = [
                Candidate(name="Oz"),
                *candidate_space(engine.default_pipelines()),
                *compounds,
            ]
            chosen = [
                c
                for c in candidates
                if digests is None or c.name == "Oz" or c.digest in digests
            ]
            fresh = list(_of_module(engine, str(row["sha"]), chosen, done))
        with (folder / out).open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in fresh)
        module = f"{row['package']}/{row['name']}"
        say(f"{number + 1} of {len(modules)}: {module}: {len(fresh)} measured")


def rows(folder: Path) -> list[dict[str, object]]:
    """Read the measurements of all processes."""
    return [
        json.loads(line)
        for path in sorted(folder.glob("matrix*.jsonl"))
        for line in path.read_text().splitlines()
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Reward:
    """Measurements as matrices over (programs, candidates)."""

    saved: NDArray[np.float64]  # share saved against -Oz, negative where larger
    shas: list[str]  # of the programs
    packages: list[str]
    digests: list[str]  # of the candidates
    oz: NDArray[np.float64]  # (programs,) size of -Oz


def reward(
    folder: Path,
    *,
    splits: tuple[str, ...],
    metric: str = "loadable",
    whole: bool = True,
    among: Collection[str] | None = None,
) -> Reward:
    """Return the shares saved on every program with a measured -Oz.

    Candidates that failed on a program are left out. whole: only programs and candidates with every
    cell measured, where candidates that most programs have decide which programs count; otherwise a
    cell that was not measured saves nothing. among: sha256 of the programs to look at (None: all).
    """
    packages = {
        str(row["sha"]): str(row["package"])
        for row in read(folder)
        if row["split"] in splits and (among is None or str(row["sha"]) in among)
    }
    cells: dict[tuple[str, str], float] = {}
    failed: set[str] = set()
    baseline: dict[str, float] = {}
    for row in rows(folder):
        sha, digest = str(row["sha"]), str(row["candidate"])
        if sha not in packages:
            continue
        if row["outcome"] != Outcome.OK.value:
            failed.add(digest)
        elif row["name"] == "Oz":
            baseline[sha] = float(str(row[metric]))
        else:
            cells[(sha, digest)] = float(str(row[metric]))
    shas, digests = sorted(baseline), sorted({digest for _, digest in cells} - failed)
    sizes = np.array(
        [[cells.get((sha, digest), np.nan) for digest in digests] for sha in shas]
    ).reshape(len(shas), len(digests))
    if whole and sizes.size:
        columns = np.isfinite(sizes).mean(axis=0) >= _LEAST_MEASURED
        complete = np.isfinite(sizes[:, columns]).all(axis=1)
        sizes = sizes[complete][:, columns]
        shas = list(compress(shas, complete))
        digests = list(compress(digests, columns))
    oz = np.array([baseline[sha] for sha in shas])
    return Reward(
        saved=np.where(np.isfinite(sizes), 1.0 - sizes / oz[:, None], 0.0),
        shas=shas,
        packages=[packages[sha] for sha in shas],
        digests=digests,
        oz=oz,
    )


def _of_module(
    engine: Engine,
    sha: str,
    candidates: Sequence[Candidate],
    done: set[tuple[object, object, object]],
) -> Iterator[dict[str, object]]:
    defaults = engine.default_pipelines()
    build = engine.installed.build_id
    todo: list[tuple[Candidate, Recipe]] = []
    for candidate in candidates:
        if (sha, candidate.digest, build) in done:
            continue
        try:
            todo.append((candidate, candidate.recipe(defaults)))
        except BadPipeline:
            continue
    results = engine.measure([recipe for _, recipe in todo])
    for (candidate, _), measured in zip(todo, results, strict=True):
        sizes = measured.sizes
        yield {
            "sha": sha,
            "candidate": candidate.digest,
            "name": candidate.name,
            "llvm": build,
            "outcome": measured.outcome.value,
            "ir": sizes.ir_instructions if sizes else None,
            "code": sizes.code_bytes if sizes else None,
            "loadable": sizes.loadable_bytes if sizes else None,
            "program": measured.ir_sha256[:16],
        }

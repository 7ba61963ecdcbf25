"""What every candidate, single or mined, makes of every program of the corpus: resumable, one JSON line a measurement.

Cached by (module, candidate, LLVM build): a run that broke off goes on where it was, new modules and candidates are added.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
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
_MOST_PROGRAMS = (
    0.9  # share of the programs a candidate must have been measured on to count
)


def measure(
    folder: Path,
    *,
    splits: tuple[str, ...],
    say: Callable[[str], None],
    part: tuple[int, int] = (0, 1),
) -> None:
    """Fill matrix.jsonl: every candidate on every module, or, once some were screened, those and the race's.

    Packages in turn, so that what is there when it breaks off is a spread of them.
    part: (which, of how many) modules this process does.
    """
    todo = [row for row in read(folder) if row["split"] in splits]
    todo = spread(todo, len(todo))[part[0] :: part[1]]
    wanted = None
    if (folder / SCREENED).is_file():
        wanted = {
            *json.loads((folder / SCREENED).read_text())["candidates"],
            *(c.digest for c in raced(folder)),
        }
    fill(
        folder,
        todo,
        wanted,
        out=f"matrix-{part[0]}.jsonl" if part[1] > 1 else "matrix.jsonl",
        say=say,
    )


def fill(
    folder: Path,
    modules: Sequence[dict[str, object]],
    wanted: set[str] | None,
    *,
    out: str,
    say: Callable[[str], None],
) -> None:
    """Measure the candidates of the digests `wanted` (all: None), and -Oz, on `modules`; what is measured is not again."""
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
                if wanted is None or c.name == "Oz" or c.digest in wanted
            ]
            fresh = list(_of_module(engine, str(row["sha"]), chosen, done))
        with (folder / out).open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in fresh)
        say(
            f"{number + 1} of {len(modules)}: {row['package']}/{row['name']}: {len(fresh)} measured"
        )


def rows(folder: Path) -> list[dict[str, object]]:
    """Every measurement of every part."""
    found: list[dict[str, object]] = []
    for path in sorted(folder.glob("matrix*.jsonl")):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Reward:
    """What was measured, as matrices over (programs, candidates)."""

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
    """Shares saved of every program that has a -Oz, over the candidates that came through wherever they were tried.

    whole: only programs and candidates with every cell measured (candidates that most programs have decide which programs
    count); else a cell that was not measured saves nothing. among: the sha256 of the programs to look at (all: None).
    """
    listed = {
        str(row["sha"]): str(row["package"])
        for row in read(folder)
        if row["split"] in splits
    }
    listed = {
        sha: package for sha, package in listed.items() if among is None or sha in among
    }
    cells: dict[tuple[str, str], float] = {}
    bad: set[str] = set()
    baseline: dict[str, float] = {}
    for row in rows(folder):
        sha, digest = str(row["sha"]), str(row["candidate"])
        if sha not in listed:
            continue
        if row["outcome"] != Outcome.OK.value:
            bad.add(digest)
        elif row["name"] == "Oz":
            baseline[sha] = float(str(row[metric]))
        else:
            cells[(sha, digest)] = float(str(row[metric]))
    shas, digests = sorted(baseline), sorted({digest for _, digest in cells} - bad)
    sizes = np.array(
        [[cells.get((sha, digest), np.nan) for digest in digests] for sha in shas]
    )
    sizes = sizes.reshape(len(shas), len(digests))
    if whole and sizes.size:
        column = np.isfinite(sizes).mean(axis=0) >= _MOST_PROGRAMS
        kept = np.isfinite(sizes[:, column]).all(axis=1)
        sizes, shas = (
            sizes[kept][:, column],
            [sha for sha, keep in zip(shas, kept, strict=True) if keep],
        )
        digests = [digest for digest, keep in zip(digests, column, strict=True) if keep]
    oz = np.array([baseline[sha] for sha in shas])
    saved = np.where(np.isfinite(sizes), 1.0 - sizes / oz[:, None], 0.0)
    return Reward(
        saved=saved,
        shas=shas,
        packages=[listed[sha] for sha in shas],
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
    wanted: list[tuple[Candidate, Recipe]] = []
    for candidate in candidates:
        if (sha, candidate.digest, build) in done:
            continue
        try:
            wanted.append((candidate, candidate.recipe(defaults)))
        except BadPipeline:
            continue
    for (candidate, _), measured in zip(
        wanted, engine.measure([recipe for _, recipe in wanted]), strict=True
    ):
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

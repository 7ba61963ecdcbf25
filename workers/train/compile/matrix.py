"""What every candidate, single or mined, makes of every program of the corpus: resumable, one JSON line a measurement.

Cached by (module, candidate, LLVM build): a run that broke off goes on where it was, new modules and candidates are added.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.domains.compile.candidates import candidate_space
from search.domains.compile.edits import Candidate
from solvers.llvm.engine import Engine
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import EngineLimits, Outcome, Recipe
from workers.corpus.build import read
from workers.train.compile.mine import mined

_CANDIDATE_S = 20.0


def measure(
    folder: Path, *, splits: tuple[str, ...], say: Callable[[str], None], part: tuple[int, int] = (0, 1)
) -> None:
    """Fill matrix.jsonl. part: (which, of how many) modules this process does."""
    done = {(row["sha"], row["candidate"], row["llvm"]) for row in rows(folder)}
    todo = [row for row in read(folder) if row["split"] in splits][part[0] :: part[1]]
    compounds = mined(folder)
    out = folder / (f"matrix-{part[0]}.jsonl" if part[1] > 1 else "matrix.jsonl")
    for number, row in enumerate(todo):
        bitcode = (folder / "modules" / f"{str(row['sha'])[:16]}.bc").read_bytes()
        with Engine(bitcode, limits=EngineLimits(candidate_s=_CANDIDATE_S)) as engine:
            fresh = list(_of_module(engine, str(row["sha"]), compounds, done))
        with out.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in fresh)
        say(f"{number + 1} of {len(todo)}: {row['package']}/{row['name']}: {len(fresh)} measured")


def rows(folder: Path) -> list[dict[str, object]]:
    """Every measurement of every part."""
    found: list[dict[str, object]] = []
    for path in sorted(folder.glob("matrix*.jsonl")):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


def reward(
    folder: Path, *, splits: tuple[str, ...], metric: str = "loadable"
) -> tuple[NDArray[np.float64], list[str], list[str], list[str]]:
    """(programs, candidates) share saved against -Oz, 0 where larger or failed; packages, candidate digests, module shas.

    A candidate that crashed, hung or was refused anywhere has no column.
    """
    listed = {str(row["sha"]): str(row["package"]) for row in read(folder) if row["split"] in splits}
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
    shas = sorted(baseline)
    digests = sorted({digest for _, digest in cells} - bad)
    matrix = np.zeros((len(shas), len(digests)))
    for i, sha in enumerate(shas):
        for j, digest in enumerate(digests):
            if (sha, digest) in cells:
                matrix[i, j] = max(0.0, 1.0 - cells[(sha, digest)] / baseline[sha])
    return matrix, [listed[sha] for sha in shas], digests, shas


def _of_module(
    engine: Engine, sha: str, compounds: Sequence[Candidate], done: set[tuple[object, object, object]]
) -> Iterator[dict[str, object]]:
    defaults = engine.default_pipelines()
    build = engine.installed.build_id
    wanted: list[tuple[Candidate, Recipe]] = []
    for candidate in (Candidate(name="Oz"), *candidate_space(defaults), *compounds):
        if (sha, candidate.digest, build) in done:
            continue
        try:
            wanted.append((candidate, Recipe(pipeline=candidate.pipeline(defaults))))
        except BadPipeline:
            continue
    for (candidate, _), measured in zip(wanted, engine.measure([recipe for _, recipe in wanted]), strict=True):
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

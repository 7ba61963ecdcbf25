"""Coreset of linked programs: published pipelines measured on whole programs, in greedy order.

Each program of `workers.corpus.training_images` is linked as IR and internalised as for an image
job. The pipelines of the lists for objects are then measured by its linked flash, and the greedy
order over the programs becomes the list `linked` of the coreset. Measuring resumes.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.weights import manifest, read_learned
from cost_models.weights.publish import publish_file
from search.domains.compile.encode import prepare
from search.domains.compile.parse.problem import parse_problem
from search.domains.compile.search.coreset import LINKED, NAME, greedy, load_coreset
from search.domains.compile.search.edits import Candidate
from search.types import InvalidInput
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import Metric, Outcome
from trimtab.specs.compile import Tier
from workers.corpus.sources import CorpusMissing
from workers.corpus.training_images import TRAINING

MEASURED = "linked.jsonl"
# Between the two parts of a manifest row: the lists of objects, and of linked programs.
_AND = {"command": " && ", "metric": "; then "}
Say = Callable[[str], None]


def measure_linked(folder: Path, *, programs: Sequence[str], say: Say) -> None:
    """Measure every pipeline on every program into linked.jsonl; what it holds is skipped."""
    for name in programs:
        done = {row["candidate"] for row in _rows(folder) if row["program"] == name}
        if {candidate.digest for candidate in candidates()} <= done:
            continue
        count = 0
        try:
            for row in _of_program(folder, name, done):
                with (folder / MEASURED).open("a") as out:
                    out.write(json.dumps(row) + "\n")
                count += 1
        except (InvalidInput, CorpusMissing) as error:
            say(f"{name} is left out: {error}")
            continue
        say(f"{name}: {count} pipelines")


def candidates() -> list[Candidate]:
    """Return -Oz and the published pipelines of loadable bytes and code bytes, each once."""
    published = [
        candidate
        for metric in (Metric.LOADABLE_BYTES, Metric.CODE_BYTES)
        for candidate in load_coreset(metric)
        if candidate.tier is Tier.DEFAULT
    ]
    by_digest = {c.digest: c for c in (Candidate(name="Oz"), *published)}
    return list(by_digest.values())


def _of_program(
    folder: Path, name: str, done: set[str]
) -> Iterator[dict[str, str | int | None]]:
    program = TRAINING[name]
    with tempfile.TemporaryDirectory(prefix="trimtab-train-") as scratch:
        archive = program.archive(folder, Path(scratch))
        work = Path(scratch) / "work"
        work.mkdir()
        problem = parse_problem(program.spec(image={}), {"source": archive}, work)
        prepared = prepare(problem)
        with prepared.engine as engine:
            for candidate in candidates():
                if candidate.digest in done:
                    continue
                try:
                    recipe = candidate.recipe(prepared.pipelines)
                except BadPipeline:
                    continue
                (measured,) = engine.measure([recipe])
                ok = measured.outcome is Outcome.OK and measured.sizes is not None
                yield {
                    "program": name,
                    "candidate": candidate.digest,
                    "name": candidate.name,
                    "llvm": engine.installed.build_id,
                    "flash": measured.sizes.loadable_bytes
                    if ok and measured.sizes
                    else None,
                }


def order(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[float]]:
    """Return digests in greedy order, and the mean share of -Oz saved by the first 1, 2, ….

    Candidates that failed on a program, and programs without all the others, are left out.
    """
    oz = Candidate(name="Oz").digest
    flash: dict[str, dict[str, float]] = {}
    failed = {str(row["candidate"]) for row in rows if row["flash"] is None}
    for row in rows:
        if row["flash"] is not None:
            flash.setdefault(str(row["program"]), {})[str(row["candidate"])] = row[
                "flash"
            ]
    tried = Counter(str(row["program"]) for row in rows)
    most = max(tried.values(), default=0)
    whole = {
        name: sizes
        for name, sizes in flash.items()
        if tried[name] == most and oz in sizes
    }
    if not whole:
        return [], []
    digests = sorted(set.intersection(*map(set, whole.values())) - failed - {oz})
    saved = np.array(
        [[1 - sizes[d] / sizes[oz] for d in digests] for sizes in whole.values()]
    ).reshape(len(whole), len(digests))
    matrix = np.maximum(0.0, saved)
    chosen = greedy(matrix, len(digests))
    means = [
        float(matrix[:, chosen[: i + 1]].max(axis=1).mean()) for i in range(len(chosen))
    ]
    return [digests[j] for j in chosen], means


def publish_linked(folder: Path, *, out: Path, command: str, say: Say) -> None:
    """Write the greedy order as the list `linked` of the published coreset.

    Raises ValueError when no program is measured.
    """
    rows = list(_rows(folder))
    digests, means = order(rows)
    if not digests:
        raise ValueError(f"{folder / MEASURED}: expected measured programs, got none")
    by_digest = {candidate.digest: candidate for candidate in candidates()}
    chosen = [by_digest[digest] for digest in digests if digest in by_digest]
    for candidate, mean in zip(chosen, means, strict=False):
        say(f"{candidate.name:24s} {mean:.2%}")
    document = json.loads(read_learned(f"{NAME}.json", folder=out))
    document["candidates"][LINKED] = [candidate.as_json() for candidate in chosen]
    document["linked_on"] = sorted({str(row["program"]) for row in rows})
    document["date"] = datetime.date.today().isoformat()
    # The file holds the lists of objects too: their command and metric stay in its row.
    earlier = {
        key: str(manifest(out)[NAME][key]).partition(between)[0]
        for key, between in _AND.items()
    }
    publish_file(
        f"{NAME}.json",
        (json.dumps(document, indent=1) + "\n").encode(),
        folder=out,
        command=f"{earlier['command']}{_AND['command']}{command}",
        data=hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest(),
        metric=(
            f"{earlier['metric']}{_AND['metric']}linked programs: mean flash saved against "
            f"-Oz with the first six {_six(means)} of {len(document['linked_on'])}"
        ),
    )


def _six(means: Sequence[float]) -> str:
    return f"{100 * means[: min(6, len(means))][-1]:.2f} %"


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    path = folder / MEASURED
    if path.is_file():
        yield from (json.loads(line) for line in path.read_text().splitlines())

"""Screening of compounds on a sample of small modules, before all modules are measured.

Hundreds of compounds on hundreds of modules would take hours, and a compound that saves nothing
on many small modules saves little elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from search.domains.compile.search.coreset import greedy
from workers.corpus.build import read
from workers.train.compile.matrix import SCREENED, fill, reward, rows
from workers.train.compile.mine import mined, spread

_MODULES, _MOST_INSTRUCTIONS = 120, 1000
# Of each metric: compounds by greedy facility location, and the best of the others on the mean.
_GREEDY, _BEST = 40, 8


def screen(
    folder: Path, *, say: Callable[[str], None], part: tuple[int, int] = (0, 1)
) -> None:
    """Measure every mined compound on the sample.

    Single changes are left out, because compounds save more (`deploy/docs/lab-notes.md`).
    """
    compounds = {candidate.digest for candidate in mined(folder)}
    fill(
        folder,
        _modules(folder)[part[0] :: part[1]],
        compounds,
        out=f"matrix-{part[0]}.jsonl",
        say=say,
    )


def _modules(folder: Path) -> list[dict[str, object]]:
    small = [
        r
        for r in read(folder)
        if r["split"] == "train" and int(str(r["ir_instructions"])) <= _MOST_INSTRUCTIONS
    ]
    return spread(small, _MODULES)


def keep(folder: Path, *, say: Callable[[str], None]) -> None:
    """Write the digests of the compounds that are worth measuring on all modules.

    For each metric those that greedy takes on the sample, and the best of the others.
    """
    digests: dict[str, None] = {}
    among = {str(row["sha"]) for row in _modules(folder)}
    for metric in ("loadable", "ir"):
        measured = reward(folder, splits=("train",), metric=metric, among=among)
        saved = np.maximum(0.0, measured.saved)
        order = greedy(saved, _GREEDY)
        by_mean = np.argsort(-measured.saved.mean(axis=0)).tolist()
        order += [j for j in by_mean if j not in order][:_BEST]
        digests |= dict.fromkeys(measured.digests[j] for j in order)
        covered, oracle = saved[:, order].max(axis=1).mean(), saved.max(axis=1).mean()
        say(
            f"{metric}: {len(order)} of {len(measured.digests)} save {covered:.2%} where all "
            f"save {oracle:.2%}"
        )
    names = {str(row["candidate"]): str(row["name"]) for row in rows(folder)}
    document = {"candidates": list(digests), "names": [names[d] for d in digests]}
    (folder / SCREENED).write_text(json.dumps(document, indent=1) + "\n")
    say(f"{len(digests)} of {len(mined(folder))} compounds remain")

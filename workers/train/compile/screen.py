"""Which candidates are worth measuring on every module: screened on a spread of small ones.

Hundreds of compounds on hundreds of modules would take hours; what saves nothing on many small ones saves little elsewhere.
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
_KEPT, _BEST = (
    40,
    8,
)  # by each metric: as greedy takes them, and the best of the others on the mean


def screen(
    folder: Path, *, say: Callable[[str], None], part: tuple[int, int] = (0, 1)
) -> None:
    """Measure every mined compound on the spread; single changes are no match for them (lab notes)."""
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
    """Write down the compounds that greedy takes on the screened modules, and the best of the others by each metric."""
    kept: dict[str, None] = {}
    among = {str(row["sha"]) for row in _modules(folder)}
    for metric in ("loadable", "ir"):
        found = reward(folder, splits=("train",), metric=metric, among=among)
        positive = np.maximum(0.0, found.saved)
        order = greedy(positive, _KEPT)
        order += [
            j for j in np.argsort(-found.saved.mean(axis=0)).tolist() if j not in order
        ][:_BEST]
        kept |= dict.fromkeys(found.digests[j] for j in order)
        covered, all_of_them = (
            positive[:, order].max(axis=1).mean(),
            positive.max(axis=1).mean(),
        )
        say(
            f"{metric}: {len(order)} of {len(found.digests)} save {covered:.2%} where all save {all_of_them:.2%}"
        )
    names = {str(row["candidate"]): str(row["name"]) for row in rows(folder)}
    (folder / SCREENED).write_text(
        json.dumps({"candidates": list(kept), "names": [names[d] for d in kept]}, indent=1)
        + "\n"
    )
    say(f"{len(kept)} of {len(mined(folder))} compounds go on")

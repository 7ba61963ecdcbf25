"""From the reward matrix to the published coreset."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cost_models.weights import read_learned
from cost_models.weights.publish import publish_file
from search.domains.compile.search.candidates import candidate_space
from search.domains.compile.search.coreset import LISTS, NAME, greedy
from search.domains.compile.search.edits import Candidate
from solvers.llvm.engine import Engine
from solvers.llvm.types import Metric
from trimtab.specs.compile import Tier
from workers.train.compile.matrix import Reward, reward, rows
from workers.train.compile.mine import mined, package_weights, useful

_NOTHING = b"define i32 @main() {\n  ret i32 0\n}\n"


def publish_coreset(
    folder: Path, *, count: int, out: Path, command: str, say: Callable[[str], None]
) -> dict[str, list[Candidate]]:
    """Greedy on the training packages, each weighing the same; reported on val. Default tier only, one list a metric."""
    by_digest = {c.digest: c for c in [*_space(), *mined(folder)] if c.tier is Tier.DEFAULT}
    lists: dict[str, list[Candidate]] = {}
    told: dict[str, dict[str, list[float]]] = {}
    data = hashlib.sha256()
    for metric in LISTS.values():
        train, val = (
            reward(folder, splits=(split,), metric=metric) for split in ("train", "val")
        )
        usable = [j for j, digest in enumerate(train.digests) if digest in by_digest]
        matrix, weights = (
            np.maximum(0.0, train.saved[:, usable]),
            package_weights(train.packages),
        )
        order = greedy(matrix, count, weights)
        picked = [train.digests[usable[j]] for j in order]
        lists[metric] = [by_digest[digest] for digest in picked]
        saved = {"train": _saved(matrix, order, weights), "val": _on_others(val, picked)}
        told[metric] = {
            split: [round(x, 6) for x in values] for split, values in saved.items()
        }
        data.update(
            json.dumps([train.shas, train.digests]).encode() + train.saved.tobytes()
        )
        best = _percent(float(weights @ matrix.max(axis=1)))
        say(
            f"{metric}: {len(matrix)} modules, {matrix.shape[1]} candidates: best of all {best}; val {len(val.shas)} modules"
        )
        for i, candidate in enumerate(lists[metric]):
            on_val = _percent(saved["val"][i]) if i < len(saved["val"]) else "-"
            say(
                f"  {i + 1:2d}. {candidate.name:45s} train {_percent(saved['train'][i])}  val {on_val}"
            )
    packages = reward(folder, splits=("train",)).packages
    counts, mined_on = _useful(folder)
    document = {
        "llvm": str(rows(folder)[0]["llvm"]),
        "date": datetime.date.today().isoformat(),
        "modules": dict(sorted(Counter(packages).items())),
        "saved": told,
        "useful": counts,
        "mined": mined_on,
        "candidates": {
            metric: [candidate.as_json() for candidate in found]
            for metric, found in lists.items()
        },
    }
    first = told[LISTS[Metric.LOADABLE_BYTES]]
    text = f"mean loadable bytes saved against -Oz with the best of {count}: train {_percent(first['train'][-1])}"
    text += f", val packages {_percent(first['val'][-1])}" if first["val"] else ""
    content = (json.dumps(document, indent=1) + "\n").encode()
    publish_file(
        f"{NAME}.json",
        content,
        folder=out,
        command=command,
        data=data.hexdigest(),
        metric=text,
    )
    return lists


def _useful(folder: Path) -> tuple[dict[str, dict[str, int]], dict[str, list[str]]]:
    """By list: how often each single change was of use, on which programs; the published counts and the minings since."""
    before, space = json.loads(read_learned(f"{NAME}.json")), _space()
    counts, programs = {}, {}
    for metric in (Metric.LOADABLE_BYTES, Metric.IR_INSTRUCTIONS):
        name = LISTS[metric]
        counts[name], programs[name] = useful(
            folder, metric, space, before["useful"][name], before["mined"][name]
        )
    return counts, programs


def _space() -> tuple[Candidate, ...]:
    with Engine(_NOTHING) as engine:
        return candidate_space(engine.default_pipelines())


def _on_others(found: Reward, picked: list[str]) -> list[float]:
    """Mean saved on other packages; nothing when not all of `picked` were measured there."""
    if not len(found.shas) or not set(picked) <= set(found.digests):
        return []
    columns = [found.digests.index(digest) for digest in picked]
    return _saved(np.maximum(0.0, found.saved), columns, package_weights(found.packages))


def _saved(matrix: np.ndarray, order: list[int], weights: np.ndarray) -> list[float]:
    """Mean saved with the best of the first 1, 2, … columns."""
    best = (
        np.maximum.accumulate(matrix[:, order], axis=1)
        if order
        else np.zeros((len(matrix), 0))
    )
    return [float(weights @ best[:, i]) for i in range(best.shape[1])]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"

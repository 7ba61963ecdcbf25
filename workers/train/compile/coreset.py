"""Publish the coreset: greedy facility location on the reward matrix, a list per metric."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cost_models.weights import read_learned
from cost_models.weights.publish import publish_file
from search.domains.compile.search.candidates import candidate_space
from search.domains.compile.search.coreset import (
    LINKED,
    LISTS,
    NAME,
    greedy,
    load_linked,
)
from search.domains.compile.search.edits import Candidate
from solvers.llvm.engine import Engine
from solvers.llvm.types import Metric
from trimtab.specs.compile import Tier
from workers.train.compile.matrix import Reward, reward, rows
from workers.train.compile.mine import mined, package_weights, useful

_NOTHING = b"define i32 @main() {\n  ret i32 0\n}\n"


@dataclass(frozen=True, kw_only=True)
class _List:
    """List of one metric, with the mean shares saved by its first 1, 2, … candidates."""

    candidates: list[Candidate]
    train: list[float]
    val: list[float]  # empty when not all candidates are measured there
    data: bytes  # of the training matrix, for its hash


def publish_coreset(
    folder: Path, *, count: int, out: Path, command: str, say: Callable[[str], None]
) -> dict[str, list[Candidate]]:
    """Choose and publish `count` candidates of the default tier for each metric.

    Greedy on the training packages, which all weigh the same; val packages are reported.
    """
    by_digest = {
        c.digest: c for c in [*_space(), *mined(folder)] if c.tier is Tier.DEFAULT
    }
    data = hashlib.sha256()
    lists: dict[str, _List] = {}
    for metric in LISTS.values():
        lists[metric] = _choose(folder, metric, by_digest, count, say)
        data.update(lists[metric].data)
    packages = reward(folder, splits=("train",)).packages
    counts, mined_on = _useful(folder)
    document = {
        "llvm": str(rows(folder)[0]["llvm"]),
        "date": datetime.date.today().isoformat(),
        "modules": dict(sorted(Counter(packages).items())),
        "saved": {
            metric: {"train": _rounded(chosen.train), "val": _rounded(chosen.val)}
            for metric, chosen in lists.items()
        },
        "useful": counts,
        "mined": mined_on,
        "candidates": {
            metric: [candidate.as_json() for candidate in chosen.candidates]
            for metric, chosen in lists.items()
        }
        | {LINKED: [candidate.as_json() for candidate in load_linked()]},
    }
    first = lists[LISTS[Metric.LOADABLE_BYTES]]
    text = (
        f"mean loadable bytes saved against -Oz with the best of {count}: "
        f"train {_percent(_rounded(first.train)[-1])}"
    )
    text += f", val packages {_percent(_rounded(first.val)[-1])}" if first.val else ""
    publish_file(
        f"{NAME}.json",
        (json.dumps(document, indent=1) + "\n").encode(),
        folder=out,
        command=command,
        data=data.hexdigest(),
        metric=text,
    )
    return {metric: chosen.candidates for metric, chosen in lists.items()}


def _choose(
    folder: Path,
    metric: str,
    by_digest: Mapping[str, Candidate],
    count: int,
    say: Callable[[str], None],
) -> _List:
    train, val = (
        reward(folder, splits=(split,), metric=metric) for split in ("train", "val")
    )
    usable = [j for j, digest in enumerate(train.digests) if digest in by_digest]
    matrix = np.maximum(0.0, train.saved[:, usable])
    weights = package_weights(train.packages)
    order = greedy(matrix, count, weights)
    digests = [train.digests[usable[j]] for j in order]
    chosen = _List(
        candidates=[by_digest[digest] for digest in digests],
        train=_saved(matrix, order, weights),
        val=_saved_on_others(val, digests),
        data=json.dumps([train.shas, train.digests]).encode() + train.saved.tobytes(),
    )
    best = _percent(float(weights @ matrix.max(axis=1)))
    say(
        f"{metric}: {len(matrix)} modules, {matrix.shape[1]} candidates: best of all {best}; "
        f"val {len(val.shas)} modules"
    )
    for i, candidate in enumerate(chosen.candidates):
        on_val = _percent(chosen.val[i]) if i < len(chosen.val) else "-"
        say(
            f"  {i + 1:2d}. {candidate.name:45s} train {_percent(chosen.train[i])}  val {on_val}"
        )
    return chosen


def _useful(folder: Path) -> tuple[dict[str, dict[str, int]], dict[str, list[str]]]:
    """(counts of useful single changes, programs they were counted on), by list.

    The published counts, and those of the programs mined since.
    """
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


def _saved_on_others(other: Reward, digests: Sequence[str]) -> list[float]:
    """Mean shares saved on other packages; empty when not all candidates are measured there."""
    if not len(other.shas) or not set(digests) <= set(other.digests):
        return []
    columns = [other.digests.index(digest) for digest in digests]
    return _saved(np.maximum(0.0, other.saved), columns, package_weights(other.packages))


def _saved(matrix: np.ndarray, order: Sequence[int], weights: np.ndarray) -> list[float]:
    """Mean shares saved with the best of the first 1, 2, … columns."""
    if not order:
        return []
    best = np.maximum.accumulate(matrix[:, order], axis=1)
    return [float(weights @ best[:, i]) for i in range(best.shape[1])]


def _rounded(shares: Sequence[float]) -> list[float]:
    return [round(share, 6) for share in shares]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"

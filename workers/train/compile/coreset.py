"""From the reward matrix to the published coreset."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from search.domains.compile.candidates import candidate_space
from search.domains.compile.coreset import NAME, greedy
from search.domains.compile.edits import Candidate
from solvers.llvm.engine import Engine
from trimtab.specs.compile import Tier
from workers.train.compile.matrix import reward, rows
from workers.train.publish import publish_file

_NOTHING = b"define i32 @main() {\n  ret i32 0\n}\n"


def publish_coreset(
    folder: Path, *, count: int, out: Path, command: str, say: Callable[[str], None]
) -> list[Candidate]:
    """Greedy on the training packages, each package weighing the same; reported on val. Default tier only."""
    by_digest = {c.digest: c for c in _space() if c.tier is Tier.DEFAULT}
    matrix, packages, digests, _ = reward(folder, splits=("train",))
    usable = [j for j, digest in enumerate(digests) if digest in by_digest]
    matrix = matrix[:, usable]
    weights = _package_weights(packages)
    order = greedy(matrix, count, weights)
    chosen = [by_digest[digests[usable[j]]] for j in order]
    picked = [digests[usable[j]] for j in order]
    train = _saved(matrix, order, weights)
    other, other_packages, other_digests, _ = reward(folder, splits=("val",))
    columns = [other_digests.index(digest) for digest in picked if digest in other_digests]
    val = _saved(other, columns, _package_weights(other_packages)) if len(other) else []
    best = _percent(float(weights @ matrix.max(axis=1)))
    say(f"{len(matrix)} training modules, {matrix.shape[1]} candidates: best of all {best}")
    for i, candidate in enumerate(chosen):
        told = _percent(val[i]) if i < len(val) else "-"
        say(f"  {i + 1:2d}. {candidate.name:45s} train {_percent(train[i])}  val {told}")
    llvm = str(rows(folder)[0]["llvm"])
    document = {
        "llvm": llvm,
        "date": datetime.date.today().isoformat(),
        "modules": dict(sorted(Counter(packages).items())),
        "saved_on_train": [round(x, 6) for x in train],
        "saved_on_val": [round(x, 6) for x in val],
        "candidates": [candidate.as_json() for candidate in chosen],
    }
    data = hashlib.sha256(json.dumps([sorted(packages), digests]).encode() + matrix.tobytes()).hexdigest()
    metric = f"mean loadable bytes saved against -Oz with the best of {len(chosen)}: train {_percent(train[-1])}"
    metric += f", val packages {_percent(val[-1])}" if val else ""
    content = (json.dumps(document, indent=1) + "\n").encode()
    publish_file(f"{NAME}.json", content, folder=out, command=command, data=data, metric=metric)
    return chosen


def _space() -> tuple[Candidate, ...]:
    with Engine(_NOTHING) as engine:
        return candidate_space(engine.default_pipelines())


def _package_weights(packages: list[str]) -> np.ndarray:
    count = Counter(packages)
    return np.array([1.0 / (len(count) * count[name]) for name in packages])


def _saved(matrix: np.ndarray, order: list[int], weights: np.ndarray) -> list[float]:
    """Mean saved with the best of the first 1, 2, … columns."""
    best = np.maximum.accumulate(matrix[:, order], axis=1) if order else np.zeros((len(matrix), 0))
    return [float(weights @ best[:, i]) for i in range(best.shape[1])]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"

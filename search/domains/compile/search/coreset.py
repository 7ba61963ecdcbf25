"""The few candidates worth trying first: greedy facility location over a reward matrix, and the list that was made so.

J(S) = Σ_i max_{j ∈ S} r_ij is monotone and submodular, so greedy is within 1 - 1/e of the best set (Nemhauser et al. 1978; the
coreset of Liang et al., ICML 2023). -Oz itself is always at hand: a candidate that is worse than it counts 0.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.weights import FOLDER, read_learned
from search.domains.compile.search.edits import Candidate, Op
from solvers.llvm.types import Metric, Sizes

Floats = NDArray[np.float64]
NAME = "compile-coreset"
# A list each.
LISTS: Mapping[Metric, str] = MappingProxyType(
    {
        Metric.LOADABLE_BYTES: "loadable",
        Metric.IR_INSTRUCTIONS: "ir",
        Metric.CODE_BYTES: "code",
    }
)
_UNWINDING = ".eh_frame"


def greedy(reward: Floats, count: int, weights: Floats | None = None) -> list[int]:
    """Columns in the order greedy takes them; fewer when nothing is gained any more.

    reward: (programs, candidates), ≥ 0. weights: (programs,), 1 by default. Lazy: gains only fall as the set grows, so a
    stale gain that is still the largest after renewal is the largest (Minoux 1978).
    """
    if reward.ndim != 2 or bool((reward < 0).any()) or not bool(np.isfinite(reward).all()):
        raise ValueError(
            f"reward wants a finite matrix ≥ 0 of (programs, candidates); shape {reward.shape} came"
        )
    weight = np.ones(len(reward)) if weights is None else weights
    covered = np.zeros(len(reward))
    heap = [(-float(weight @ reward[:, j]), j) for j in range(reward.shape[1])]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < count:
        _, j = heapq.heappop(heap)
        gain = float(weight @ np.maximum(0.0, reward[:, j] - covered))
        if heap and gain < -heap[0][0] - 1e-15:
            heapq.heappush(heap, (-gain, j))
            continue
        if gain <= 1e-12:
            break
        chosen.append(j)
        covered = np.maximum(covered, reward[:, j])
    return chosen


def load_coreset(
    metric: Metric = Metric.LOADABLE_BYTES, folder: Path = FOLDER
) -> tuple[Candidate, ...]:
    """The published candidates for a metric, in greedy order.

    Raises WeightsRefused when the file is not the one of its manifest row.
    """
    return tuple(
        Candidate.from_json(row) for row in _document(folder)["candidates"][LISTS[metric]]
    )


def list_for(metric: Metric, oz: Sizes) -> Metric:
    """Whose list to try on a program: without unwinding tables its loadable bytes are code bytes and what never changes.

    Much of what the list of loadable bytes saves is in those tables, partly at the cost of code.
    """
    has_unwinding = any(name.startswith(_UNWINDING) for name in oz.sections)
    return (
        Metric.CODE_BYTES
        if metric is Metric.LOADABLE_BYTES and not has_unwinding
        else metric
    )


def without_options(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Their changes of passes alone, each once; those that had no other change are left out."""
    kept: dict[str, Candidate] = {}
    for candidate in candidates:
        passes = replace(
            candidate,
            edits=tuple(edit for edit in candidate.edits if edit.op is not Op.OPTION),
        )
        if passes.edits or not candidate.edits:
            kept.setdefault(passes.digest, passes)
    return list(kept.values())


def usefulness(
    space: Sequence[Candidate],
    metric: Metric = Metric.LOADABLE_BYTES,
    folder: Path = FOLDER,
) -> NDArray[np.float64]:
    """(len(space),) how often each single change was part of what a search ended with on a training program, plus one.

    The local search draws changes in these proportions; no search was for code bytes, which take those of loadable
    bytes. Raises WeightsRefused as `load_coreset`.
    """
    counted = _document(folder)["useful"][
        "ir" if metric is Metric.IR_INSTRUCTIONS else "loadable"
    ]
    return np.array([1.0 + float(counted.get(candidate.digest, 0)) for candidate in space])


def _document(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(read_learned(f"{NAME}.json", folder=folder))
    return document

"""Coreset: the candidates to try first, by greedy facility location over a reward matrix.

J(S) = Σ_i max_{j ∈ S} r_ij is monotone and submodular, so the greedy set is within 1 - 1/e of
the best (Nemhauser, Wolsey and Fisher 1978). It is the coreset of Liang et al., "Learning
Compiler Pass Orders using Coreset and Normalized Value Prediction", ICML 2023. -Oz itself is
always available, so a candidate that is larger than -Oz has reward 0. See
`deploy/docs/design/compile.md`, "Coreset".
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
NAME, FIRMWARE = "compile-coreset", "compile-firmware"
# Metric → name of its list.
LISTS: Mapping[Metric, str] = MappingProxyType(
    {
        Metric.LOADABLE_BYTES: "loadable",
        Metric.IR_INSTRUCTIONS: "ir",
        Metric.CODE_BYTES: "code",
    }
)
LINKED = "linked"  # name of the list for linked programs with unwind tables
_UNWIND_TABLES = ".eh_frame"


def greedy(reward: Floats, count: int, weights: Floats | None = None) -> list[int]:
    """Return columns in greedy order; fewer than `count` when none gains any more.

    reward: (programs, candidates), ≥ 0. weights: (programs,), 1 by default. The evaluation is lazy:
    gains only fall as the set grows, so an outdated gain that is still the largest after it is
    recomputed is the largest (Minoux 1978). Raises ValueError.
    """
    if (
        reward.ndim != 2
        or bool((reward < 0).any())
        or not bool(np.isfinite(reward).all())
    ):
        raise ValueError(
            "reward: expected a finite matrix ≥ 0 of (programs, candidates), got shape "
            f"{reward.shape}"
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
    """Load the published candidates for a metric, in greedy order.

    Raises WeightsRefused when the file is not the one of its manifest row.
    """
    return tuple(
        Candidate.from_json(row) for row in _document(folder)["candidates"][LISTS[metric]]
    )


def load_linked(folder: Path = FOLDER) -> tuple[Candidate, ...]:
    """Load the published candidates for linked programs, in greedy order; none: not mined yet.

    Raises WeightsRefused as `load_coreset`.
    """
    rows = _document(folder)["candidates"].get(LINKED, ())
    return tuple(Candidate.from_json(row) for row in rows)


def load_firmware(
    architecture: str, folder: Path = FOLDER
) -> tuple[tuple[Candidate, ...], tuple[tuple[str, ...], ...]]:
    """Load what was mined on firmware of an architecture, both in greedy order.

    Returns the candidates, and the sets of options of the code generator that are tried for single
    functions; nothing for an architecture that nothing was mined on. Raises WeightsRefused.
    """
    document = json.loads(read_learned(f"{FIRMWARE}.json", folder=folder))
    mined = document.get(architecture, {})
    return (
        tuple(Candidate.from_json(row) for row in mined.get("candidates", ())),
        tuple(tuple(map(str, row)) for row in mined.get("code", ())),
    )


def list_for(metric: Metric, oz: Sizes) -> Metric:
    """Return the metric whose list to try on a program.

    Without unwind tables, loadable bytes are code bytes and constant data. Much of what the list of
    loadable bytes saves is in those tables, partly at the cost of code.
    """
    if metric is Metric.IMAGE_BYTES:
        metric = Metric.LOADABLE_BYTES
    has_unwind_tables = any(name.startswith(_UNWIND_TABLES) for name in oz.sections)
    return (
        Metric.CODE_BYTES
        if metric is Metric.LOADABLE_BYTES and not has_unwind_tables
        else metric
    )


def without_options(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates without options of LLVM, each once.

    Those that consist of options alone are left out.
    """
    by_digest: dict[str, Candidate] = {}
    for candidate in candidates:
        edits = tuple(edit for edit in candidate.edits if edit.op is not Op.OPTION)
        passes_only = replace(candidate, edits=edits)
        if edits or not candidate.edits:
            by_digest.setdefault(passes_only.digest, passes_only)
    return list(by_digest.values())


def usefulness(
    space: Sequence[Candidate],
    metric: Metric = Metric.LOADABLE_BYTES,
    folder: Path = FOLDER,
) -> NDArray[np.float64]:
    """Return (len(space),) counts of training programs whose result has a change, plus one.

    The local search draws changes in these proportions. No training search was for code bytes,
    which use the counts of loadable bytes. Raises WeightsRefused.
    """
    counts = "ir" if metric is Metric.IR_INSTRUCTIONS else "loadable"
    counted = _document(folder)["useful"][counts]
    return np.array(
        [1.0 + float(counted.get(candidate.digest, 0)) for candidate in space]
    )


def _document(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(read_learned(f"{NAME}.json", folder=folder))
    return document

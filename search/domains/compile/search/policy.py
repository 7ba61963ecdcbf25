"""Network that orders the coreset for a program, trained on rewards of other programs.

A network is published only where it beat the coreset's own order on held-out packages
(`deploy/docs/lab-notes.md`). It reads the program's Autophase features and instruction counts,
as shares, and what -Oz made of the program, which is measured anyway. It only orders: a wrong
guess costs a compilation, never a larger program. See `deploy/docs/design/compile.md`, "Value
prediction".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cost_models.compile.pipeline_order import PipelineOrder
from cost_models.weights import FOLDER, load_weights, manifest
from search.domains.compile.search.coreset import LISTS
from search.domains.compile.search.edits import Candidate
from solvers.llvm.engine import CandidateFailed, Engine
from solvers.llvm.features import AUTOPHASE_NAMES, Features
from solvers.llvm.types import Metric, Sizes

NAME = "compile-policy"
# Ten times the largest program it was trained on. Without the C walker, counting the features of so
# large a program takes seconds.
MOST_INSTRUCTIONS = 100_000
_OWN_ORDER = "greedy order of the coreset"
_SECTIONS = (".rodata", ".eh_frame", ".data")
_INSTRUCTIONS, _FUNCTIONS, _BLOCKS = (
    AUTOPHASE_NAMES.index(name) for name in ("TotalInsts", "TotalFuncs", "TotalBlocks")
)
Floats = NDArray[np.float64]


def score_candidates(
    engine: Engine,
    oz: Sizes,
    candidates: Sequence[Candidate],
    metric: Metric,
    folder: Path = FOLDER,
) -> tuple[Floats | None, str]:
    """Score candidates for the engine's program: ((K,) scores, how they were made).

    The scores are None where no network is published for the metric, where it was trained for other
    candidates, and where the program is too large or cannot be described.
    """
    if weights_name(metric) not in manifest(folder):
        return None, _OWN_ORDER
    if (count := engine.info.ir_instructions) > MOST_INSTRUCTIONS:
        return None, (
            f"{_OWN_ORDER}: the program has {count:,} instructions, and the policy is used up to "
            f"{MOST_INSTRUCTIONS:,}"
        )
    try:
        features = engine.features()
    except CandidateFailed as failed:
        return None, f"{_OWN_ORDER}: the program could not be described ({failed})"
    scores, policy = score_features(features, oz, candidates, metric, folder)
    if not features.native:
        policy += "; counted without the C walker, which no compiler here built"
    return scores, policy


def score_features(
    features: Features,
    oz: Sizes,
    candidates: Sequence[Candidate],
    metric: Metric,
    folder: Path = FOLDER,
) -> tuple[Floats | None, str]:
    """Score candidates for a described program, as `score_candidates` does."""
    name = weights_name(metric)
    if name not in manifest(folder):
        return None, _OWN_ORDER
    network = PipelineOrder(load_weights(name, folder=folder))
    scores = network.scores(describe(features, oz))
    if not all(candidate.digest in scores for candidate in candidates):
        return None, f"{_OWN_ORDER}: the policy was trained for another one"
    in_order = np.array([scores[candidate.digest] for candidate in candidates])
    return in_order, f"order by the network {name}"


def weights_name(metric: Metric) -> str:
    """Return the name of the weights that order a metric's list."""
    return f"{NAME}-{LISTS[metric]}"


def describe(features: Features, oz: Sizes) -> Floats:
    """Return the (F,) numbers the network reads.

    Shares of instructions, sizes as logarithms, and what -Oz made of the program.
    """
    count = max(1.0, float(features.autophase[_INSTRUCTIONS]))
    functions = max(1.0, float(features.autophase[_FUNCTIONS]))
    blocks = max(1.0, float(features.autophase[_BLOCKS]))
    loadable, code = max(1.0, float(oz.loadable_bytes)), max(1.0, float(oz.code_bytes))
    instructions = max(1.0, float(oz.ir_instructions))
    section_bytes = [
        sum(size for name, size in oz.sections.items() if name.startswith(kind))
        for kind in _SECTIONS
    ]
    return np.concatenate(
        [
            features.autophase / count,
            features.inst_count[3:] / count,
            np.log([count, functions, blocks, code]),
            [blocks / functions, count / functions, count / blocks],
            [oz.ir_instructions / count, code / instructions, code / loadable],
            np.array(section_bytes) / loadable,
        ]
    ).astype(np.float64)

"""Which pipelines of the coreset first: a small network that has seen what each did to a few hundred programs.

One is published only where it beat the coreset's own order on packages left out (lab notes). It looks at the program's
Autophase numbers and instruction counts, as shares, and at what true -Oz made of it, which is measured anyway. It only orders:
a wrong guess costs a pipeline, never a larger program.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cost_models.compile.net import PipelineOrder
from cost_models.weights import FOLDER, load_weights, manifest
from search.domains.compile.search.coreset import LISTS
from search.domains.compile.search.edits import Candidate
from solvers.llvm.engine import CandidateFailed, Engine
from solvers.llvm.features import AUTOPHASE_NAMES, Features
from solvers.llvm.types import Metric, Sizes

NAME = "compile-policy"
MOST_INSTRUCTIONS = 100_000  # ten times the largest it learned from; without the C walker, counting these takes seconds
_OWN_ORDER = "greedy order of the coreset"
_INSTRUCTIONS, _FUNCTIONS, _BLOCKS = (
    AUTOPHASE_NAMES.index(n) for n in ("TotalInsts", "TotalFuncs", "TotalBlocks")
)
Floats = NDArray[np.float64]


def describe(features: Features, oz: Sizes) -> Floats:
    """(F,) the numbers the network reads: shares of instructions, sizes as logarithms, and what -Oz made of the program."""
    count = max(1.0, float(features.autophase[_INSTRUCTIONS]))
    functions = max(1.0, float(features.autophase[_FUNCTIONS]))
    blocks = max(1.0, float(features.autophase[_BLOCKS]))
    loadable, code = max(1.0, float(oz.loadable_bytes)), max(1.0, float(oz.code_bytes))
    of_sections = [
        sum(size for name, size in oz.sections.items() if name.startswith(kind))
        for kind in _SECTIONS
    ]
    return np.concatenate(
        [
            features.autophase / count,
            features.inst_count[3:] / count,
            np.log([count, functions, blocks, code]),
            [blocks / functions, count / functions, count / blocks],
            [
                oz.ir_instructions / count,
                code / max(1.0, float(oz.ir_instructions)),
                code / loadable,
            ],
            np.array(of_sections) / loadable,
        ]
    ).astype(np.float64)


_SECTIONS = (".rodata", ".eh_frame", ".data")


def ask(
    engine: Engine,
    oz: Sizes,
    candidates: Sequence[Candidate],
    metric: Metric,
    folder: Path = FOLDER,
) -> tuple[Floats | None, str]:
    """As `order`, of the engine's program; None, too, where it is too large or cannot be described."""
    if name_of(metric) not in manifest(folder):
        return None, _OWN_ORDER
    if (count := engine.info.ir_instructions) > MOST_INSTRUCTIONS:
        return (
            None,
            f"{_OWN_ORDER}: the program has {count:,} instructions, the policy is asked up to {MOST_INSTRUCTIONS:,}",
        )
    try:
        features = engine.features()
    except CandidateFailed as failed:
        return None, f"{_OWN_ORDER}: the program could not be described ({failed})"
    scores, how = order(features, oz, candidates, metric, folder)
    return (
        scores,
        how
        if features.native
        else f"{how}; counted without the C walker, which no compiler here built",
    )


def order(
    features: Features,
    oz: Sizes,
    candidates: Sequence[Candidate],
    metric: Metric,
    folder: Path = FOLDER,
) -> tuple[Floats | None, str]:
    """((K,) scores or None, how they came about): None where the network knows nothing of this metric or of the candidates."""
    name = name_of(metric)
    if name not in manifest(folder):
        return None, _OWN_ORDER
    known = PipelineOrder(load_weights(name, folder=folder)).scores(describe(features, oz))
    if not all(candidate.digest in known for candidate in candidates):
        return None, f"{_OWN_ORDER}: the policy was trained for another one"
    return np.array(
        [known[candidate.digest] for candidate in candidates]
    ), f"order by the network {name}"


def name_of(metric: Metric) -> str:
    """Of the weights that order a metric's list."""
    return f"{NAME}-{LISTS[metric]}"

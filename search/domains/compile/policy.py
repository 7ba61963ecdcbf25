"""Which pipelines of the coreset first: a small network that has seen what each did to a few hundred programs.

It looks at the program's Autophase numbers and instruction counts, as shares, and at what true -Oz made of it, which is
measured anyway. It only orders: a wrong guess costs a pipeline, never a larger program.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cost_models.compile.net import PipelineOrder
from cost_models.weights import load_weights, manifest
from search.domains.compile.edits import Candidate
from solvers.llvm.features import AUTOPHASE_NAMES, Features
from solvers.llvm.types import Metric, Sizes

NAME = "compile-policy"
_INSTRUCTIONS, _FUNCTIONS, _BLOCKS = (AUTOPHASE_NAMES.index(n) for n in ("TotalInsts", "TotalFuncs", "TotalBlocks"))
Floats = NDArray[np.float64]


def describe(features: Features, oz: Sizes) -> Floats:
    """(F,) the numbers the network reads: shares of instructions, sizes as logarithms, and what -Oz made of the program."""
    count = max(1.0, float(features.autophase[_INSTRUCTIONS]))
    functions = max(1.0, float(features.autophase[_FUNCTIONS]))
    blocks = max(1.0, float(features.autophase[_BLOCKS]))
    loadable, code = max(1.0, float(oz.loadable_bytes)), max(1.0, float(oz.code_bytes))
    of_sections = [sum(size for name, size in oz.sections.items() if name.startswith(kind)) for kind in _SECTIONS]
    return np.concatenate(
        [
            features.autophase / count,
            features.inst_count[3:] / count,
            np.log([count, functions, blocks, code]),
            [blocks / functions, count / functions, count / blocks],
            [oz.ir_instructions / count, code / max(1.0, float(oz.ir_instructions)), code / loadable],
            np.array(of_sections) / loadable,
        ]
    ).astype(np.float64)


_SECTIONS = (".rodata", ".eh_frame", ".data")


def order(features: Features, oz: Sizes, candidates: Sequence[Candidate], metric: Metric) -> tuple[Floats | None, str]:
    """((K,) scores or None, how they came about): None where the network knows nothing of this metric or of the candidates."""
    name = name_of(metric)
    if name not in manifest():
        return None, "greedy order of the coreset: no policy is trained for this objective"
    known = PipelineOrder(load_weights(name)).scores(describe(features, oz))
    if not all(candidate.digest in known for candidate in candidates):
        return None, "greedy order of the coreset: the policy was trained for another one"
    return np.array([known[candidate.digest] for candidate in candidates]), f"order by the network {name}"


def name_of(metric: Metric) -> str:
    """Of the weights for a metric; code bytes take those of loadable bytes, as the coreset does."""
    return f"{NAME}-{'ir' if metric is Metric.IR_INSTRUCTIONS else 'loadable'}"

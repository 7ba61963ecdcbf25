"""Parameters of annealing for few solves, tried on specifications of their own.

Scores are of the coarse solver, which is 30 times cheaper than the fine one that the rival uses.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.antenna.parse import parse
from search.domains.antenna.search.methods import Annealing
from trimtab.specs.antenna import Topology
from workers.bench.antenna.direct import setting_of
from workers.bench.antenna.specifications import TUNING, Effort, specification

_CAP_DB = 3.5  # more margin is no better: 3 dB are asked for
GRID = {
    "topology": ("pixels", "rectangles"),
    "hottest": (0.3, 1.5),
    "patience": (15, 80),
    "begin": (20,),
}


def run(*, seeds: Sequence[int], solves: int) -> Iterator[dict[str, Any]]:
    """Yield a line for each combination of parameters."""
    for values in itertools.product(*GRID.values()):
        chosen: dict[str, Any] = dict(zip(GRID, values, strict=True))
        topology = chosen.pop("topology")
        best = [
            _best(bands, Topology(topology), chosen, seed, solves)
            for bands in TUNING
            for seed in seeds
        ]
        yield {
            "topology": topology,
            **chosen,
            "mean_margin_db": float(np.mean(np.minimum(best, _CAP_DB))),
            "reached_3_db": float(np.mean(np.array(best) >= 3)),
            "runs": len(best),
        }


def _best(
    bands: Any, topology: Topology, chosen: dict[str, Any], seed: int, solves: int
) -> float:
    effort = Effort(coarse=1, fine=solves, seconds=1.0, verify_runs=0)
    spec = specification(bands, effort, topology=topology.value)
    setting = setting_of(parse(spec, {}, Path()), np.random.default_rng(seed))
    searcher = type("Tried", (Annealing,), chosen)(setting)
    best = -np.inf
    for _ in range(solves):
        designs = searcher.ask(1)
        score = setting.evaluator.score(designs[0], "coarse")
        searcher.tell(designs, [score.guide_db])
        best = max(best, score.margin_db)
    return float(best)

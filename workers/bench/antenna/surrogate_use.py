"""Use of the surrogate in the search: coarse solves and seconds to a margin of 4 dB.

On the specifications for tuning. Each method with and without the surrogate, by the coarse solver
alone; predictions and fine-tuning count as seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.antenna.parse import parse
from search.domains.antenna.search.methods import make_searcher
from search.domains.antenna.search.model import choose_model
from search.domains.antenna.search.solve import Evaluator
from workers.bench.antenna.specifications import TUNING, Bands, Effort, specification

_GOAL_DB = 4.0
_BATCH = 8


def run(
    *,
    methods: Sequence[str],
    models: Sequence[str],
    seeds: Sequence[int],
    solves: int,
    seconds: float,
) -> Iterator[dict[str, Any]]:
    """Yield a line for each method and model."""
    for method in methods:
        for model in models:
            runs = [
                _search(bands, method, model, seed, solves, seconds)
                for bands in TUNING
                for seed in seeds
            ]
            best = np.array([row["best_db"] for row in runs])
            yield {
                "method": method,
                "model": model,
                "runs": len(runs),
                "reached_4_db": int((best >= _GOAL_DB).sum()),
                "mean_margin_db": float(np.minimum(best, _GOAL_DB).mean()),
                "median_coarse_solves": float(np.median([r["solves"] for r in runs])),
                "mean_cpu_s": float(np.mean([r["cpu_s"] for r in runs])),
                "mean_predictions": float(np.mean([r["predictions"] for r in runs])),
                "mean_learning_cpu_s": float(np.mean([r["learning_s"] for r in runs])),
            }


def _search(
    bands: Bands, method: str, model: str, seed: int, solves: int, seconds: float
) -> dict[str, Any]:
    effort = Effort(coarse=solves, fine=1, seconds=seconds, verify_runs=0)
    problem = parse(specification(bands, effort, search=method, model=model), {}, Path())
    rng, evaluator = np.random.default_rng(seed), Evaluator(problem)
    learned, _ = choose_model(problem, evaluator.samples)
    began = time.process_time()
    if learned is not None:
        evaluator.on_coarse = learned.add
    searcher, best = make_searcher(evaluator, rng, learned), -np.inf
    while evaluator.solved["coarse"] < solves and best < _GOAL_DB:
        if time.process_time() - began > seconds:
            break
        designs = searcher.ask(_BATCH)
        scores = [evaluator.score(design, "coarse") for design in designs]
        searcher.tell(designs, [score.guide_db for score in scores])
        best = max(best, *(score.margin_db for score in scores))
    return {
        "best_db": float(best),
        "solves": evaluator.solved["coarse"],
        "cpu_s": time.process_time() - began,
        "predictions": 0 if learned is None else learned.predicted,
        "learning_s": 0.0 if learned is None else learned.seconds["learn"],
    }

"""Designs found on a surrogate alone, and judged by the fine solver: the paper's use of one.

A search method runs on predictions of the fine mesh; the best distinct designs are solved on it. No
coarse solver takes part, so a surrogate's errors are what limits the search. With active learning
the surrogate is fine-tuned on the designs solved so far before more are chosen. Resumable.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.antenna.surrogate import Surrogate
from search.domains.antenna.parse import parse
from search.domains.antenna.search.learned import Learned
from search.domains.antenna.search.methods import make_searcher
from search.domains.antenna.search.samples import BandSamples
from search.domains.antenna.search.screened import Screened
from search.domains.antenna.search.solve import Evaluator
from workers.bench.antenna.direct import FineSamples
from workers.bench.antenna.search import Line, interval, measured
from workers.bench.antenna.specifications import ALL, Effort, specification

SUITE = "antenna-surrogate-search"
_BUDGETS = (1, 2, 4, 8)  # fine solves
_GOAL_DB = 3.0  # margin that a job asks for by default
_AT_ONCE = 2  # designs solved before the next are chosen
_LATER = 5  # times fewer predictions for each further pair than for the first


def run(
    *,
    models: Sequence[str],
    method: str,
    tasks: Sequence[int] | None,
    seeds: Sequence[int],
    solves: int,
    predictions: int,
    active: Sequence[bool],
    out: Path,
) -> Iterator[Line]:
    """Yield a line for each run that `out` lacks, then one for each model with its counts."""
    lines = measured(out, SUITE)
    done = {(r["task"], r["model"], r["active"], r["run_seed"]) for r in lines}
    loaded = {name: _load(name) for name in models}
    arms = [(name, learns) for name in models for learns in active]
    for task in range(len(ALL)) if tasks is None else tasks:
        for seed in seeds:
            for name, learns in arms:
                label = Path(name).stem
                if (task, label, learns, seed) in done:
                    continue
                line = {
                    "task": task,
                    "model": label,
                    "active": learns,
                    "run_seed": seed,
                    "method": method,
                    **_search(
                        loaded[name], task, method, seed, solves, predictions, learns
                    ),
                }
                lines.append(line)
                yield line
    for name, learns in arms:
        own = [r for r in lines if (r["model"], r["active"]) == (Path(name).stem, learns)]
        if own:
            yield _summary(Path(name).stem, learns, own, solves)


def _load(name: str) -> Surrogate:
    path = Path(name)
    return Surrogate.load(path) if path.suffix else Surrogate.shipped(name)


def _search(
    surrogate: Surrogate,
    task: int,
    method: str,
    seed: int,
    solves: int,
    predictions: int,
    learns: bool,
) -> dict[str, Any]:
    effort = Effort(coarse=predictions, fine=solves, seconds=1.0, verify_runs=0)
    problem = parse(specification(ALL[task], effort, search=method), {}, Path())
    fine, rng = FineSamples(problem), np.random.default_rng([seed, task])
    began = time.process_time()
    learned = Learned(surrogate, BandSamples(problem.spec), "")
    searcher = Screened(make_searcher(Evaluator(problem), rng), learned, rng)
    searcher.predictions = predictions
    searcher.relearn = _AT_ONCE if learns else solves + 1
    margins: list[float] = []
    promised: list[float] = []
    while len(margins) < solves:
        designs = searcher.ask(min(_AT_ONCE, solves - len(margins)))
        promised += learned.guides(designs)[0].tolist()
        for design in designs:
            s11 = fine.response(design)
            margins.append(float(fine.samples.margins(s11[None])[0].min()))
            learned.add(design, s11)
        searcher.tell(designs, margins[-len(designs) :])
        searcher.predictions = predictions // _LATER
    return {
        "margins_db": margins,
        "promised_db": promised,
        "predictions": learned.predicted,
        "cpu_s": time.process_time() - began,
        "learning_cpu_s": learned.seconds["learn"],
    }


def _summary(model: str, learns: bool, lines: Sequence[Line], solves: int) -> Line:
    best = np.array([np.maximum.accumulate(line["margins_db"]) for line in lines])
    errors = [
        abs(a - b)
        for line in lines
        for a, b in zip(line["margins_db"], line["promised_db"], strict=True)
    ]
    counts: dict[str, Any] = {}
    for budget in _BUDGETS:
        if budget <= solves:
            met = best[:, budget - 1] >= 0
            counts[f"met_after_{budget}"] = int(met.sum())
            counts[f"met_after_{budget}_interval"] = interval(met, np.sum)
            counts[f"with_3_db_after_{budget}"] = int(
                (best[:, budget - 1] >= _GOAL_DB).sum()
            )
    return {
        "on": "all",
        "model": model,
        "active": learns,
        "runs": len(lines),
        **counts,
        "mean_best_db": float(np.minimum(best[:, -1], _GOAL_DB).mean()),
        "mean_error_of_chosen_db": float(np.mean(errors)),
        "mean_cpu_s": float(np.mean([line["cpu_s"] for line in lines])),
    }

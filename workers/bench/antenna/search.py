"""Search methods side by side on fixed tasks, random search among them."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.antenna import build
from search.stop import from_budget
from trimtab.results import Incumbent
from trimtab.specs.antenna import AntennaSpec, SearchMethod

# Bands in GHz on a grid of 12 x 3 mm, eps_r 2.2, 3.175 mm, feed (3, 6). Bands at 2.4 GHz are
# electrically small there and are raised to 2.60-2.66 GHz.
TASKS: tuple[tuple[tuple[float, float], ...], ...] = (
    ((2.60, 2.66),),
    ((3.30, 3.60),),
    ((3.40, 3.80),),
    ((4.40, 4.80),),
    ((4.90, 5.40),),
    ((5.15, 5.35),),
    ((5.15, 5.85),),
    ((5.725, 5.875),),
    ((5.925, 6.425),),
    ((5.90, 7.10),),
    ((6.50, 7.50),),
    ((7.25, 7.75),),
    ((5.10, 7.00),),
    ((4.50, 6.50),),
    ((2.60, 2.66), (5.15, 5.35)),
    ((2.60, 2.66), (5.15, 5.85)),
    ((3.40, 3.60), (5.15, 5.35)),
    ((3.40, 3.80), (5.80, 6.00)),
    ((2.50, 2.69), (3.40, 3.60)),
    ((2.60, 2.66), (3.50, 3.60), (5.15, 5.35)),
)


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Limits of one search."""

    coarse: int
    fine: int
    seconds: float
    verify_runs: int


def run(
    *,
    tasks: Sequence[int] | None,
    methods: Sequence[SearchMethod],
    seeds: Sequence[int],
    effort: Effort,
) -> Iterator[dict[str, Any]]:
    """Yield a line for each task, method and seed, then one for each method."""
    lines = []
    for task in range(len(TASKS)) if tasks is None else tasks:
        for method in methods:
            for seed in seeds:
                line = _search(task, method, seed, effort)
                lines.append(line)
                yield line
    for method in methods:
        own = [line for line in lines if line["method"] == method.value]
        yield {
            "method": method.value,
            "runs": len(own),
            "met_by_fine_solver": sum(line["margin_db"] >= 0 for line in own),
            **{
                verdict.replace(" ", "_"): sum(line["verdict"] == verdict for line in own)
                for verdict in ("pass", "shifted pass", "fail")
            },
        }


def _search(task: int, method: SearchMethod, seed: int, effort: Effort) -> dict[str, Any]:
    spec = AntennaSpec.model_validate(
        {
            "bands": [{"f_lo_hz": a * 1e9, "f_hi_hz": b * 1e9} for a, b in TASKS[task]],
            "feed": [3, 6],
            "search": method.value,
            "coarse_solves": effort.coarse,
            "fine_solves": effort.fine,
            "verify_runs": effort.verify_runs,
        },
        strict=False,
    )
    points: list[Incumbent] = []
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = pipeline.run(
            build(),
            spec,
            inputs={},
            workdir=Path(folder),
            stop=from_budget({"seconds": effort.seconds}, threading.Event()),
            seed=seed,
            callbacks=pipeline.Callbacks(on_incumbent=points.append),
        ).result
    opinion: Any = result.verification.checks.get("second_solver", {})
    solves: Any = result.summary.get("solves", {})
    return {
        "task": task,
        "bands_ghz": TASKS[task],
        "method": method.value,
        "run_seed": seed,
        "margin_db": result.summary.get("margin_db", float("-inf")),
        "coarse_solves": solves.get("coarse", 0),
        "fine_solves": solves.get("fine", 0),
        "verdict": opinion.get("verdict", "none"),
        "openems_bands": opinion.get("bands", []),
        "cpu_s": time.process_time() - began,
        "timings_s": result.timings_s,
        "reason": result.termination.detail,
    }

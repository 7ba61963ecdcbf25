"""The funnel and its rivals on fixed specifications, judged by openEMS. Resumable.

An arm is a way to search. Success: openEMS confirms every band exactly, or with its response
shifted by at most 2 %. Costs: fine solves, and processor seconds without openEMS.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from search import pipeline
from search.domains.antenna import build
from search.stop import from_budget
from trimtab.specs.antenna import SearchMethod
from workers.bench.antenna import direct
from workers.bench.antenna.specifications import ALL, TASKS, Effort, specification

Line = dict[str, Any]
_RESAMPLES = 2000
_SUITE = "antenna-search"
_EXACT, _SHIFTED = "pass", "shifted pass"


def _funnel(task: int, seed: int, effort: Effort, **fields: Any) -> Line:
    """Run a job of the service without the service."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = pipeline.run(
            build(),
            specification(ALL[task], effort, **fields),
            inputs={},
            workdir=Path(folder),
            stop=from_budget({"seconds": effort.seconds}, threading.Event()),
            seed=seed,
            callbacks=pipeline.Callbacks(),
        ).result
    summary: Mapping[str, Any] = result.summary
    opinion: Any = result.verification.checks.get("second_solver", {})
    solves: Any = summary.get("solves", {})
    opinions: Any = summary.get("second_solver_in_search", [])
    return {
        "margin_db": summary.get("margin_db"),
        "coarse_solves": solves.get("coarse", 0),
        "fine_solves": solves.get("fine", 0),
        "neighbours": summary.get("neighbours", {}),
        "verdict": opinion.get("verdict", "none"),
        "openems_bands": opinion.get("bands", []),
        "openems_verdicts": [row["verdict"] for row in opinions],
        "openems_s": sum(row["seconds"] for row in opinions) or opinion.get("seconds", 0),
        "corrections": summary.get("corrections", []),
        "surrogate": summary.get("surrogate"),
        "cpu_s": time.process_time() - began,
        "timings_s": result.timings_s,
        "reason": result.termination.detail,
    }


def _direct(rival: str, task: int, seed: int, effort: Effort) -> Line:
    with tempfile.TemporaryDirectory() as folder:
        done = direct.run(specification(ALL[task], effort), rival, seed, Path(folder))
    ranks = {_EXACT: 2, _SHIFTED: 1}
    best = max(done.opinions, key=lambda row: ranks.get(row.verdict, 0), default=None)
    return {
        "margin_db": done.margin_db,
        "coarse_solves": 0,
        "fine_solves": done.solves_to_verdict or done.fine_solves,
        "verdict": "not asked" if best is None else best.verdict,
        "openems_bands": [] if best is None else [b.to_json() for b in best.bands],
        "openems_verdicts": [row.verdict for row in done.opinions],
        "openems_s": sum(row.seconds for row in done.opinions),
        "cpu_s": done.cpu_s,
    }


def _method(method: SearchMethod) -> Callable[[int, int, Effort], Line]:
    return lambda task, seed, effort: _funnel(task, seed, effort, search=method.value)


ARMS: Mapping[str, Callable[[int, int, Effort], Line]] = MappingProxyType(
    {
        "funnel": lambda task, seed, effort: _funnel(task, seed, effort),
        "funnel, no corrections": lambda task, seed, effort: _funnel(
            task, seed, effort, verify_runs=1
        ),
        "funnel with the surrogate": lambda task, seed, effort: _funnel(
            task, seed, effort, model="antenna-duroid"
        ),
        "annealing on the fine solver": lambda task, seed, effort: _direct(
            "annealing", task, seed, effort
        ),
        "random on the fine solver": lambda task, seed, effort: _direct(
            "random", task, seed, effort
        ),
        **{f"funnel by {method.value}": _method(method) for method in SearchMethod},
    }
)
MAIN_ARMS = (
    "funnel",
    "annealing on the fine solver",
    "random on the fine solver",
)


def run(
    *,
    tasks: Sequence[int] | None,
    arms: Sequence[str],
    seeds: Sequence[int],
    effort: Effort,
    out: Path,
) -> Iterator[Line]:
    """Yield a line for each task, arm and seed that `out` lacks, then one for each arm."""
    lines = measured(out, _SUITE)
    for task in range(len(ALL)) if tasks is None else tasks:
        for arm in arms:
            for seed in seeds:
                if any(_key(line) == (task, arm, seed) for line in lines):
                    continue
                figures = ARMS[arm](task, seed, effort)
                line = {
                    "task": task,
                    "held_out": task >= len(TASKS),
                    "bands_ghz": ALL[task],
                    "arm": arm,
                    "run_seed": seed,
                    **figures,
                }
                lines.append(line)
                yield line
    for arm in arms:
        own = [line for line in lines if line["arm"] == arm]
        if own:
            yield from _summaries(arm, own, effort)


def measured(out: Path, suite: str) -> list[Line]:
    """Return the runs of a suite in the output file, to resume from."""
    if not out.exists():
        return []
    lines = [json.loads(text) for text in out.read_text().splitlines()]
    return [line for line in lines if line.get("suite") == suite and "task" in line]


def _key(line: Line) -> tuple[int, str, int]:
    return line["task"], line["arm"], line["run_seed"]


def _summaries(arm: str, lines: Sequence[Line], effort: Effort) -> Iterator[Line]:
    for name, held_out in (("the 20 specifications", False), ("held-out", True)):
        own = [line for line in lines if line["held_out"] is held_out]
        if not own:
            continue
        exact = np.array([line["verdict"] == _EXACT for line in own])
        shifted = np.array([line["verdict"] in (_EXACT, _SHIFTED) for line in own])
        # A run without success counts as one that needed more than all solves.
        solves = np.where(shifted, [line["fine_solves"] for line in own], effort.fine + 1)
        cpu = np.array([line["cpu_s"] for line in own])
        tasks = [line["task"] for line in own]
        yield {
            "arm": arm,
            "on": name,
            "runs": len(own),
            "seeds": len({line["run_seed"] for line in own}),
            "met_by_fine_solver": sum((line["margin_db"] or -1) >= 0 for line in own),
            "exact": int(exact.sum()),
            "exact_interval": interval(exact, np.sum, tasks),
            "within_2_percent": int(shifted.sum()),
            "within_2_percent_interval": interval(shifted, np.sum, tasks),
            "median_fine_solves": float(np.median(solves)),
            "median_fine_solves_interval": interval(solves, np.median, tasks),
            "median_cpu_s": float(np.median(cpu)),
            "most_cpu_s": float(cpu.max()),
        }


def interval(
    values: Any, statistic: Callable[..., Any], groups: Sequence[int] | None = None
) -> list[float]:
    """Return the 95 % bootstrap interval over the values, or over groups of them.

    groups: of each value, as its specification; runs of one are not independent.
    """
    sample, rng = np.asarray(values, float), np.random.default_rng(0)
    own = np.arange(len(sample)) if groups is None else np.asarray(groups)
    members = [np.flatnonzero(own == group) for group in np.unique(own)]
    drawn = [
        statistic(sample[np.concatenate([members[k] for k in chosen])])
        for chosen in rng.integers(len(members), size=(_RESAMPLES, len(members)))
    ]
    return [float(v) for v in np.quantile(drawn, (0.025, 0.975))]

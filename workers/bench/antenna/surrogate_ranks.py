"""Order of band scores by the shipped surrogate: held-out designs, and searches it never saw.

For each task an annealing search with the coarse solver visits designs. The surrogate ranks the
last third of them, as shipped and after each of two rounds of fine-tuning on those before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from cost_models.antenna.surrogate import Surrogate
from search.domains.antenna.design import Design
from search.domains.antenna.parse import AntennaProblem
from search.domains.antenna.search.methods import make_searcher
from search.domains.antenna.search.score import Scorer
from search.domains.antenna.search.solve import Evaluator
from solvers.field.rational import Rational
from workers.bench.antenna.specifications import TASKS
from workers.train.antenna.boards import DEFAULT
from workers.train.antenna.dataset import read_samples
from workers.train.antenna.designs import Source
from workers.train.antenna.figures import (
    band_scores,
    decibel,
    errors,
    rank_correlations,
)
from workers.train.antenna.labels import label
from workers.train.antenna.shards import shard_paths

_TESTS = 1000  # held-out designs, at most
_FEED = (3, 6)
_ROUNDS = 2
Complex = NDArray[np.complex128]


def run(
    *,
    surrogate: Surrogate,
    work: Path,
    tasks: Sequence[int] | None,
    designs: int,
    steps: int,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Yield a line for held-out designs of each origin, one for each task, and their mean."""
    yield from _held_out(surrogate, work)
    lines = []
    for task in range(len(TASKS)) if tasks is None else tasks:
        line = _search(surrogate, task, designs, steps, seed)
        lines.append(line)
        yield line
    if lines:
        yield {
            "task": "all",
            "tasks": len(lines),
            **{
                name: float(np.mean([line[name] for line in lines]))
                for name in lines[0]
                if name.startswith(("rank", "complex"))
            },
        }


def _held_out(surrogate: Surrogate, work: Path) -> Iterator[dict[str, Any]]:
    for mesh in ("coarse", "fine"):
        paths = shard_paths(work, mesh)
        if not paths:
            continue
        samples = read_samples(paths, None)
        tests = samples.test_rows[:_TESTS]
        began = time.process_time()
        predicted = surrogate.predict(
            samples.masks[tests],
            samples.feeds[tests, 0].astype(np.int64),
            DEFAULT.frequencies_hz,
            fine=mesh == "fine",
        )
        spent = time.process_time() - began
        searched = samples.source[tests] == Source.TRAJECTORY
        for name, chosen in (("random", ~searched), ("searched", searched)):
            if chosen.sum() < 20:
                continue
            correlations = rank_correlations(
                predicted[chosen].astype(np.complex64),
                samples.curves[tests][chosen],
                DEFAULT.frequencies_hz,
                dict(enumerate(TASKS)),
            )
            yield {
                "held_out": name,
                "mesh": mesh,
                "designs": int(chosen.sum()),
                "cpu_ms_a_design": 1e3 * spent / len(tests),
                **errors(
                    predicted[chosen].astype(np.complex64), samples.curves[tests][chosen]
                ),
                "rank_correlation": float(np.mean(list(correlations.values()))),
            }


def _search(
    surrogate: Surrogate, task: int, count: int, steps: int, seed: int
) -> dict[str, Any]:
    visited, curves = _trajectory(task, count, seed)
    masks = np.array([design.mask for design in visited])
    feeds = np.array([design.feed for design in visited], np.int64)
    frequencies = DEFAULT.frequencies_hz
    last = slice(2 * len(visited) // 3, None)
    truth = band_scores(decibel(curves.astype(np.complex64)), frequencies, TASKS[task])

    def figures(of: Surrogate) -> tuple[float, float]:
        predicted = of.predict(masks[last], feeds[last], frequencies, fine=False)
        scores = band_scores(
            decibel(predicted.astype(np.complex64)), frequencies, TASKS[task]
        )
        rank = float(scipy.stats.spearmanr(scores, truth[last])[0])
        return rank, float(np.abs(predicted - curves[last]).mean())

    line: dict[str, Any] = {
        "task": task,
        "bands_ghz": TASKS[task],
        "designs": len(visited),
    }
    line["rank_0"], line["complex_0"] = figures(surrogate)
    began, rng = time.process_time(), np.random.default_rng(seed)
    for number in range(1, _ROUNDS + 1):
        solved = slice(0, number * len(visited) // 3)
        surrogate = surrogate.refined(
            masks[solved],
            feeds[solved],
            curves[solved],
            frequencies,
            rng=rng,
            steps=steps,
            fine=False,
        )
        line[f"rank_{number}"], line[f"complex_{number}"] = figures(surrogate)
    line["refining_cpu_s"] = time.process_time() - began
    return line


def _trajectory(task: int, count: int, seed: int) -> tuple[list[Design], Complex]:
    """Return the designs of an annealing search with the coarse solver, and their S11."""
    spec = DEFAULT.spec(
        _FEED,
        bands=[{"f_lo_hz": a * 1e9, "f_hi_hz": b * 1e9} for a, b in TASKS[task]],
        search="annealing",
        coarse_solves=count,
    )
    problem = AntennaProblem(spec=spec, workdir=Path())
    scorer = Scorer(problem)
    searcher = make_searcher(Evaluator(problem), np.random.default_rng([seed, task]))
    tables = DEFAULT.tables(fine=False, cache=None)
    scale = DEFAULT.f_max_hz / float(problem.frequencies_hz.max())
    visited: dict[bytes, Design] = {}
    curves: list[Complex] = []
    guides: dict[bytes, float] = {}
    for _ in range(4 * count):
        designs = searcher.ask(8)
        for design in designs:
            if design.key not in visited:
                made = label(tables, design.mask, [design.feed], fine=False)
                model = Rational(
                    nodes=made.model.nodes * scale,
                    values=made.model.values,
                    weights=made.model.weights,
                )
                visited[design.key] = design
                curves.append(made.curve)
                guides[design.key] = scorer.score(model).guide_db
        if len(visited) >= count:
            break
        searcher.tell(designs, [guides[design.key] for design in designs])
    return list(visited.values()), np.array(curves)

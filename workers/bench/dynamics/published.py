"""Figure 6 of Scan and Snap: 64 cells of attention entropy over the distinct tokens.

Tian et al. (2023), https://arxiv.org/abs/2305.16380, section 7: 10 common tokens, 10 distinct ones
of each class, SGD with momentum 0.9, 100 steps of 128 sequences of 128 tokens, 10 seeds. Each run
starts with both matrices uniform in ±1/√M, as a linear map without a bias does in the authors'
library.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from gnn.dynamics.closed_form import Rates
from gnn.dynamics.sequences import distinct_entropy, linear_classes
from gnn.dynamics.training import SgdParams, Weights, sampled

SUITE = "dynamics-published"
WITHIN = 0.03  # nats
RATES = (0.5, 1.0, 2.0, 3.0)  # of the attention
RATIOS = (1, 2, 5, 10)  # of the decoder's rate to it
Line = dict[str, Any]

# (queries, classes) → rows by rate of the attention, columns by ratio: means over 10 seeds, read
# from the authors' figure data.
PUBLISHED: Mapping[tuple[int, int], Sequence[Sequence[float]]] = MappingProxyType(
    {
        (1, 2): (
            (1.971, 2.007, 2.066, 2.092),
            (1.871, 1.937, 2.022, 2.053),
            (1.699, 1.810, 1.934, 1.900),
            (1.551, 1.708, 1.786, 1.825),
        ),
        (3, 6): (
            (2.019, 1.988, 2.031, 2.063),
            (1.963, 1.920, 1.982, 2.024),
            (1.842, 1.809, 1.899, 1.955),
            (1.737, 1.715, 1.821, 1.839),
        ),
        (5, 10): (
            (2.026, 1.994, 2.020, 2.055),
            (1.995, 1.931, 1.971, 2.014),
            (1.906, 1.816, 1.884, 1.926),
            (1.817, 1.718, 1.802, 1.831),
        ),
        (10, 20): (
            (2.033, 2.012, 2.018, 2.051),
            (2.027, 1.975, 1.976, 2.015),
            (1.990, 1.888, 1.899, 1.947),
            (1.940, 1.805, 1.829, 1.875),
        ),
    }
)
# Published standard deviations over seeds, where they are known.
DEVIATION: Mapping[tuple[int, int, float, int], float] = MappingProxyType(
    {(1, 2, 2.0, 10): 0.20, (1, 2, 3.0, 1): 0.155, (1, 2, 3.0, 10): 0.33}
    | {(3, 6, 3.0, 10): 0.10}
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the table."""

    queries: int
    classes: int
    rate: float
    """of the attention"""
    ratio: int
    published: float

    @property
    def tolerance(self) -> float:
        """0.03 nats, or one published standard deviation where it is known and greater."""
        key = (self.queries, self.classes, self.rate, self.ratio)
        return max(WITHIN, DEVIATION.get(key, 0.0))


def cells() -> Iterator[Cell]:
    """Yield the 64 cells."""
    for (queries, classes), rows in PUBLISHED.items():
        for rate, row in zip(RATES, rows, strict=True):
            for ratio, value in zip(RATIOS, row, strict=True):
                yield Cell(
                    queries=queries,
                    classes=classes,
                    rate=rate,
                    ratio=ratio,
                    published=value,
                )


def run(
    *, seeds: Sequence[int], params: SgdParams, start: str, out: Path
) -> Iterator[Line]:
    """Yield a line for each cell that `out` does not hold yet, then one for the table.

    start: `uniform` or `zero` weights.
    """
    done = {_key(line): line for line in _lines_in(out, seeds, start)}
    lines = []
    for cell in cells():
        line = done.get(_key(vars(cell)))
        if line is None:
            line = {**_measure(cell, seeds, params, start), "start": start}
            yield line
        lines.append(line)
    inside = [line for line in lines if line["inside"]]
    off = [abs(line["entropy"] - line["published"]) for line in lines]
    yield {
        "cells": len(lines),
        "inside": len(inside),
        "within_0.02": sum(value <= 0.02 for value in off),
        "worst": round(max(off), 4),
        "seeds": len(seeds),
        "start": start,
        "cpu_s": round(sum(line["cpu_s"] for line in lines), 1),
    }


def _measure(cell: Cell, seeds: Sequence[int], params: SgdParams, start: str) -> Line:
    classes = linear_classes(cell.classes, distinct=10, common=10, queries=cell.queries)
    outputs = classes.tokens + cell.queries + cell.classes
    rates = Rates(
        decoder=cell.rate * cell.ratio,
        attention=cell.rate,
        classes=cell.classes,
        outputs=outputs,
    )
    began = time.process_time()
    entropies = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        weights = (
            Weights.uniform(classes, outputs, rng)
            if start == "uniform"
            else Weights.zero(classes, outputs)
        )
        end = sampled(classes, rates, params, weights, rng)
        entropies.append(distinct_entropy(classes, end.attention))
    mean = float(np.mean(entropies))
    return {
        **vars(cell),
        "entropy": round(mean, 4),
        "deviation": round(float(np.std(entropies, ddof=min(1, len(seeds) - 1))), 4),
        "inside": abs(mean - cell.published) <= cell.tolerance,
        "seeds": len(seeds),
        "cpu_s": round(time.process_time() - began, 2),
    }


def _key(values: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(values[name] for name in ("queries", "classes", "rate", "ratio"))


def _lines_in(out: Path, seeds: Sequence[int], start: str) -> list[Line]:
    """Return the finished cells of an earlier run with the same seeds and start."""
    if not out.is_file():
        return []
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return [
        line
        for line in lines
        if line.get("suite") == SUITE
        and "entropy" in line
        and (line["seed"], line["seeds"]) == (seeds[0], len(seeds))
        and line["start"] == start
    ]

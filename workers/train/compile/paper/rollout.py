"""Coreset, rewards and roll-outs within a budget of passes, from the table of trajectories.

Liang et al., "Learning Compiler Pass Orders using Coreset and Normalized Value Prediction",
ICML 2023, sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.domains.compile.search.coreset import greedy
from workers.train.compile.paper.discover import Row

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """IR counts of programs × sequences.

    `counts[i][j]` are the counts after each pass; shorter when a pass crashed.
    """

    shas: list[str]
    packages: list[str]
    o0: Floats  # (N,)
    oz: Floats  # (N,)
    counts: list[list[list[int]]]

    @classmethod
    def of(
        cls, rows: Sequence[Row], split: str, columns: Sequence[int] | None = None
    ) -> Table:
        """Build the table of one split, with some of the sequences (None: all)."""
        chosen = [row for row in rows if row["split"] == split and row["oz"]]
        counts = [
            row["counts"] if columns is None else [row["counts"][j] for j in columns]
            for row in chosen
        ]
        return cls(
            shas=[row["sha"] for row in chosen],
            packages=[row["package"] for row in chosen],
            o0=np.array([row["o0"] for row in chosen], dtype=float),
            oz=np.array([row["oz"] for row in chosen], dtype=float),
            counts=counts,
        )

    def best(self) -> Floats:
        """Return (N, K) least counts over all prefixes, the unoptimised program included."""
        return np.array(
            [
                [min([o0, *c]) for c in row]
                for o0, row in zip(self.o0, self.counts, strict=True)
            ]
        )

    def reward(self) -> Floats:
        """Return (N, K) shares saved against -Oz by the best prefix, which NVP, BC and Q learn."""
        reward: Floats = (self.oz[:, None] - self.best()) / self.oz[:, None]
        return reward


def coreset(table: Table, size: int) -> list[int]:
    """Choose columns by greedy facility location over r_ij = count(O0) / best count.

    Rows are divided by their largest value.
    """
    ratio = table.o0[:, None] / table.best()
    return greedy(ratio / ratio.max(axis=1, keepdims=True), size)


def rolled_out(table: Table, order: NDArray[np.int64], budget: int) -> Floats:
    """Return (N,) least IR counts within `budget` passes.

    The sequences of each row of `order` (N, K) run in turn, each on the unoptimised program.
    """
    least = table.o0.copy()
    for i, row in enumerate(order):
        left = budget
        for j in row.tolist():
            counts = table.counts[i][j][:left]
            least[i] = min([least[i], *counts])
            left -= len(counts)
            if left <= 0:
                break
    return least


def mean_over_oz(table: Table, counts: Floats) -> tuple[float, float, float]:
    """Summarise the shares saved against -Oz, (I_Oz − I) / I_Oz.

    Returns (mean of package means, pooled mean, pooled geometric mean of I_Oz / I).
    """
    saved = (table.oz - counts) / table.oz
    means = list(means_over_oz(table, counts).values())
    return (
        float(np.mean(means)),
        float(saved.mean()),
        float(np.exp(np.log(table.oz / counts).mean())),
    )


def means_over_oz(table: Table, counts: Floats) -> dict[str, float]:
    """Return package → mean share saved against -Oz."""
    saved, names = (table.oz - counts) / table.oz, np.array(table.packages)
    return {
        package: float(saved[names == package].mean())
        for package in sorted(set(table.packages))
    }

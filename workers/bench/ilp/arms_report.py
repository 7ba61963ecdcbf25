"""Comparison of arms with one another and with the portfolio, paired by instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workers.bench.ilp import metrics
from workers.bench.stats import ratio_of_means

PORTFOLIO = "portfolio"
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A method with an engine on a family; sequences are paired by instance."""

    gaps: tuple[float, ...]  # primal gap at the end
    integrals: tuple[float, ...]  # primal integral, seconds
    ends: tuple[float, ...]  # final objective, minimised

    @property
    def gap(self) -> float:
        """Mean primal gap at the end."""
        return float(np.mean(self.gaps))

    @property
    def integral(self) -> float:
        """Mean primal integral, seconds."""
        return float(np.mean(self.integrals))


def cells_of(rows: Sequence[Row], family: str, engine: str) -> dict[str, Cell]:
    """Return the cell of each method, over the instances on which all of them ran.

    Best known of an instance: the best end of all its lines, of other engines and limits too.
    """
    own = [row for row in rows if row["family"] == family]
    best: dict[tuple[str, int], float] = {}
    for row in own:
        key = (row["size"], row["instance"])
        best[key] = min(best.get(key, np.inf), row["objective"])
    runs: dict[str, dict[tuple[Any, ...], Row]] = {}
    for row in own:
        if row["engine"] == engine:
            key = (row["size"], row["instance"])
            runs.setdefault(row["method"], {})[(*key, row["limit"], row["seed"])] = row
    if not runs:
        return {}
    common = sorted(set.intersection(*(set(lines) for lines in runs.values())))
    if not common:
        return {}
    return {
        method: _cell([lines[key] for key in common], [best[key[:2]] for key in common])
        for method, lines in runs.items()
    }


def _cell(rows: Sequence[Row], best: Sequence[float]) -> Cell:
    pairs = list(zip(rows, best, strict=True))
    return Cell(
        gaps=tuple(metrics.gap_at(row["trace"], b, row["limit"]) for row, b in pairs),
        integrals=tuple(
            metrics.integral(row["trace"], b, row["limit"]) for row, b in pairs
        ),
        ends=tuple(row["objective"] for row in rows),
    )


@dataclass(frozen=True, kw_only=True)
class Against:
    """The portfolio against the best single arm of a family, by one measure each."""

    gap_arm: str  # best single arm by gap at the end
    gap_difference: float  # mean of the paired differences, portfolio less arm
    better_ends: int
    worse_ends: int
    integral_arm: str
    integral_ratio: tuple[float, float, float]  # of the means, and its 95 % interval


def against(cells: Mapping[str, Cell]) -> Against | None:
    """Compare the portfolio with its best single arms; None unless both ran."""
    single = {name: cell for name, cell in cells.items() if name != PORTFOLIO}
    if not single or PORTFOLIO not in cells:
        return None
    whole = cells[PORTFOLIO]
    gap_arm = min(single, key=lambda name: single[name].gap)
    integral_arm = min(single, key=lambda name: single[name].integral)
    signs = [
        metrics.compared(a, b)
        for a, b in zip(whole.ends, single[gap_arm].ends, strict=True)
    ]
    return Against(
        gap_arm=gap_arm,
        gap_difference=whole.gap - single[gap_arm].gap,
        better_ends=signs.count(-1),
        worse_ends=signs.count(1),
        integral_arm=integral_arm,
        integral_ratio=ratio_of_means(whole.integrals, single[integral_arm].integrals),
    )


def print_report(rows: Sequence[Row]) -> None:
    """Print gap and integral of each cell, and the portfolio against its arms."""
    families = sorted({row["family"] for row in rows})
    for engine in sorted({row["engine"] for row in rows}):
        for family in families:
            cells = cells_of(rows, family, engine)
            if not cells:
                continue
            count = len(next(iter(cells.values())).gaps)
            print(
                f"\n{family}, {engine}, {count} instances: gap at the end %, integral s"
            )
            for name, cell in sorted(cells.items(), key=lambda pair: pair[1].integral):
                print(f"  {name:16} {100 * cell.gap:7.3f} {cell.integral:8.3f}")
            whole = against(cells)
            if whole is not None:
                ratio, low, high = whole.integral_ratio
                print(
                    f"  portfolio: gap {100 * whole.gap_difference:+.3f} points to "
                    f"{whole.gap_arm} ({whole.better_ends} better, {whole.worse_ends} worse); "
                    f"integral {ratio:.2f} [{low:.2f}, {high:.2f}] of {whole.integral_arm}"
                )

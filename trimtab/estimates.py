"""Expected seconds of leaves and of the whole outline.

A run ends by its budget unless it is done before. A leaf's estimate comes from the shipped table of
measured runs (`durations.toml`) or from earlier runs of that kind, and is never above its budget.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.plans import Leaf, Outline, Seconds

TABLE = Path(__file__).with_name("durations.toml")
_FEWEST_RUNS = 5  # of one kind, before they replace the shipped table
_OVERHEAD_S = 2.0  # start of a child, parsing, files
DEFAULT_BUDGET_S = 60.0


@dataclass(frozen=True, kw_only=True)
class PastRun:
    """An earlier run of the tenant: what it was allowed and what it took."""

    kind: str
    budget_s: float
    seconds: float


@functools.cache
def shares() -> Mapping[str, Any]:
    """Return the table of measured runs, by kind."""
    table: Mapping[str, Any] = tomllib.loads(TABLE.read_text())["kind"]
    return table


def seconds_of(
    kind: str, budget: Mapping[str, Any], past: Sequence[PastRun] = ()
) -> Seconds:
    """Return how long a job probably takes."""
    limit = float(budget.get("seconds", DEFAULT_BUDGET_S))
    runs = sorted(run.seconds / run.budget_s for run in past if run.kind == kind)
    if len(runs) >= _FEWEST_RUNS:
        low, high = (runs[min(len(runs) - 1, int(q * len(runs)))] for q in (0.5, 0.9))
        basis = f"{len(runs)} earlier runs of this kind"
    else:
        low, high, basis = _by_table(kind, limit, budget)
    most = limit + _OVERHEAD_S
    return Seconds(
        p50=round(min(most, limit * low + _OVERHEAD_S), 1),
        p90=round(min(most, limit * high + _OVERHEAD_S), 1),
        basis=f"{limit:g} s allowed; {basis}",
    )


def _by_table(
    kind: str, limit_s: float, budget: Mapping[str, Any]
) -> tuple[float, float, str]:
    """Return shares of the limit by the shipped table; all of it for a kind without a row."""
    row = shares().get(kind)
    if row is None:
        return 1.0, 1.0, "no measured runs of this kind"
    low, high = (_share(row, row[name], limit_s, budget) for name in ("p50", "p90"))
    return low, high, f"{row['runs']} measured runs of this kind"


def _share(
    row: Mapping[str, Any], value: float, limit_s: float, budget: Mapping[str, Any]
) -> float:
    """Return the share of the limit that a run takes, from the table's own unit."""
    match row["unit"]:
        case "share":
            return value
        case "seconds":
            return value / limit_s
        case _:  # seconds an evaluation: without a limit of those, a run uses its time
            count = budget.get("evaluations")
            return 1.0 if count is None else float(count) * value / limit_s


def total(outline: Outline, *, workers: int = 1) -> Seconds:
    """Return how long the enabled leaves take on `workers` workers.

    Neither less than the longest chain nor less than an equal share of the sum.
    """
    leaves = {name: leaf for name, leaf in outline.leaves.items() if leaf.enabled}
    parents = parents_of(outline)
    ends: dict[str, tuple[float, float]] = {}
    for name in in_order(leaves, parents):
        before = [ends[p] for p in parents.get(name, ()) if p in ends]
        starts = [max((row[i] for row in before), default=0.0) for i in (0, 1)]
        own = leaves[name].seconds
        ends[name] = (starts[0] + own.p50, starts[1] + own.p90)
    longest = [max((row[i] for row in ends.values()), default=0.0) for i in (0, 1)]
    sums = [
        sum(leaf.seconds.p50 for leaf in leaves.values()),
        sum(leaf.seconds.p90 for leaf in leaves.values()),
    ]
    low, high = (
        max(one, whole / workers) for one, whole in zip(longest, sums, strict=True)
    )
    return Seconds(
        p50=round(low, 1),
        p90=round(high, 1),
        basis=f"longest chain {longest[0]:.0f} to {longest[1]:.0f} s; one job at a time "
        f"{sums[0]:.0f} to {sums[1]:.0f} s; {workers} at once",
    )


def parents_of(outline: Outline) -> dict[str, list[str]]:
    """Return what each leaf waits for: by its edges, and by files that it reads of others."""
    parents: dict[str, list[str]] = {name: [] for name in outline.leaves}
    for edge in outline.edges.values():
        parents.setdefault(edge.child, []).append(edge.parent)
    for name, leaf in outline.leaves.items():
        parents[name].extend(files_of_leaves(leaf))
    return {name: list(dict.fromkeys(own)) for name, own in parents.items()}


def files_of_leaves(leaf: Leaf) -> list[str]:
    """Return the leaves whose files a leaf reads."""
    leaves: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, Mapping):
            if isinstance(value.get("leaf"), str) and "output" in value:
                leaves.append(value["leaf"])
            for part in value.values():
                walk(part)
        elif isinstance(value, list | tuple):
            for part in value:
                walk(part)

    walk(leaf.spec)
    return leaves


def in_order(names: Mapping[str, Any], parents: Mapping[str, Sequence[str]]) -> list[str]:
    """Return names so that parents come first; names on a cycle are left out."""
    done: list[str] = []
    left = list(names)
    while ready := [
        name
        for name in left
        if all(p in done or p not in names for p in parents.get(name, ()))
    ]:
        done += ready
        left = [name for name in left if name not in ready]
    return done

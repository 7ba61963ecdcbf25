"""Report of runs: gaps and integrals against the best known, ratios, rates, curves."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.drawing.curves import step_curves
from search.lns.swap import OneSwap
from workers.bench import instances
from workers.bench.ilp import metrics
from workers.bench.ilp.methods import SET_COVER
from workers.bench.stats import ratio_of_means

# Single solvers that a user would call.
SOLVERS = ("highs", "scip", "scip-aggressive", "cp-sat", SET_COVER)
Run = dict[str, Any]
Groups = dict[str, dict[str, dict[str, Run]]]  # group → instance → method → run


def read(files: Sequence[Path]) -> tuple[Groups, float]:
    """Return the measured runs of several output files, and their limit in seconds.

    Of several lines of an (instance, method) the last one counts. Raises ValueError when the files
    are empty or their limits differ.
    """
    groups: Groups = {}
    limits = set()
    for file in files:
        for line in file.read_text().splitlines():
            row = json.loads(line)
            limits.add(float(row["limit"]))
            groups.setdefault(row["group"], {}).setdefault(row["instance"], {})[
                row["method"]
            ] = row
    if len(limits) != 1:
        raise ValueError(
            f"limit: expected runs of one limit, got {sorted(limits) or 'none'}"
        )
    seconds = limits.pop()
    for rows in groups.values():
        for name, runs in rows.items():
            measure(name, runs, (), seconds)
    return groups, seconds


def print_all(groups: Groups, seconds: float, out: Path) -> None:
    """Print the table of every group and of all together; draw the curves beside `out`."""
    for group, rows in groups.items():
        compared = complete(rows)
        summary(group, compared, seconds)
        out.with_name(f"ilp-{group.replace('/', '_').replace(' ', '-')}.svg").write_text(
            picture(group, compared, seconds)
        )
    if len(groups) > 1:
        summary(
            "all",
            complete(
                {name: runs for rows in groups.values() for name, runs in rows.items()}
            ),
            seconds,
        )


def complete(rows: Mapping[str, dict[str, Run]]) -> list[dict[str, Run]]:
    """Return the instances that all methods ran on, without methods that most instances lack."""
    names = {method for runs in rows.values() for method in runs}
    common = {
        method
        for method in names
        if sum(method in runs for runs in rows.values()) > 0.5 * len(rows)
    }
    return [
        {m: runs[m] for m in runs if m in common}
        for runs in rows.values()
        if common <= set(runs)
    ]


def measure(
    name: str, runs: dict[str, Run], earlier: Sequence[Run], seconds: float
) -> None:
    """Add best_known, gap and integral to each run."""
    maximise = any(run.get("sense") == "maximize" for run in runs.values())
    finals = [run["trace"][-1][1] for run in [*runs.values(), *earlier] if run["trace"]]
    optimum = instances.OPTIMA.get(name.partition(".")[0])
    finals += [optimum] if optimum is not None else []
    best = (max(finals) if maximise else min(finals)) if finals else None
    for run in runs.values():
        run["best_known"] = best
        run["gap"] = 1.0 if best is None else metrics.gap_at(run["trace"], best, seconds)
        run["integral"] = metrics.integral(run["trace"], best, seconds)


def line(name: str, method: str, run: Run) -> str:
    """Return one run as a line of text."""
    shown = f"{run['trace'][-1][1]:.10g}" if run["trace"] else "none"
    first = f"{run['trace'][0][0]:.2f}" if run["trace"] else "-"
    return (
        f"{name:30s} {method:24s} first {first:>6s} s  final {shown:>14s}  gap {run['gap']:.5f}  "
        f"PI {run['integral']:8.3f} s  {run['reason']} {run.get('verified', '')}"
    )


def summary(group: str, rows: list[dict[str, Run]], seconds: float) -> None:
    """Print the table of a group."""
    methods = [
        m for m in rows[0] if any(row[m]["reason"] != "unsupported" for row in rows)
    ]
    integrals = {m: [row[m]["integral"] for row in rows] for m in methods}
    gaps = {m: [row[m]["gap"] for row in rows] for m in methods}
    rate = metrics.best_performing_rate(gaps)
    print(
        f"\n{group}: {len(rows)} instances, {seconds:g} s. PI: primal integral, s; ratio: "
        "ours / theirs, 95 % interval"
    )
    for method in methods:
        text = (
            f"  {method:24s} PI mean {statistics.fmean(integrals[method]):8.3f}  geo (+1 s) "
            f"{metrics.geometric_mean(integrals[method], shift=1.0):8.3f}  best "
            f"{rate[method]:4.0%}  "
            f"survival 1% {metrics.survival_rate(gaps[method], 0.01):4.0%}  "
            f"0.1% {metrics.survival_rate(gaps[method], 0.001):4.0%}"
        )
        if method != "trimtab" and "trimtab" in integrals:
            ratio, low, high = ratio_of_means(integrals["trimtab"], integrals[method])
            text += f"  ratio {ratio:.3f} [{low:.3f}, {high:.3f}]"
        print(text + costs([row[method] for row in rows]))
    singles = [m for m in methods if m in SOLVERS]
    if singles and "trimtab" in integrals:
        best = min(singles, key=lambda m: statistics.fmean(integrals[m]))
        print(
            f"  best single solver: {best}; ours / it "
            f"{ratio_of_means(integrals['trimtab'], integrals[best])[0]:.3f}"
        )


def costs(runs: Sequence[Run]) -> str:
    """Return peak memory, and the share of the LNS' time spent outside solvers, as text.

    The one-swap search is neither solver nor overhead: its seconds do not count.
    """
    text = ""
    if peaks := [run["peak_bytes"] for run in runs if run.get("peak_bytes")]:
        text += f"  memory {max(peaks) / 1e9:.2f} GB"
    searched = solved = 0.0
    for run in runs:
        outcome = run.get("summary") or {}
        searched += sum(
            arm["seconds"]
            for name, arm in outcome.get("lns_arms", {}).items()
            if name != OneSwap.name
        )
        solved += outcome.get("lns_solver_seconds", 0.0)
    return text + (
        f"  outside solvers {max(0.0, 1.0 - solved / searched):.1%}" if searched else ""
    )


def picture(group: str, rows: list[dict[str, Run]], seconds: float) -> str:
    """Draw the mean primal gap of each method over time; returns SVG."""
    curves = {}
    for method in rows[0]:
        if all(row[method]["reason"] == "unsupported" for row in rows):
            continue
        times = sorted(
            {
                0.0,
                seconds,
                *(at for row in rows for at, _ in row[method]["trace"] if at <= seconds),
            }
        )
        curves[method] = [
            (
                at,
                statistics.fmean(
                    metrics.gap_at(
                        row[method]["trace"], row[method]["best_known"] or 0.0, at
                    )
                    for row in rows
                ),
            )
            for at in times
        ]
    return step_curves(
        curves,
        until=seconds,
        title=f"{group}: mean primal gap",
        y_label="primal gap",
        limits=(0.0, 0.05),
    )

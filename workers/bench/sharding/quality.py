"""`python -m workers.bench sharding quality`: all planners on the paper's tasks.

Costs are the oracle's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.sharding.search.models import Models
from workers.bench.sharding.planners import PLANNERS
from workers.bench.sharding.tasks import Setting, accepted_share, tasks
from workers.bench.stats import ratio_of_means

WIDTHS = (4, 8, 16, 32, 64, 128)
SETTINGS: tuple[Setting, ...] = (
    *(Setting(source="meta", devices=d, max_dim=w) for d in (4, 8) for w in WIDTHS),
    *(Setting(source="fbgemm", devices=d, max_dim=w) for d in (4, 8) for w in (32, 128)),
    *(Setting(source="mlperf", devices=d, max_dim=32) for d in (4, 8)),
    *(Setting(source="small", devices=d, max_dim=32) for d in (4, 8)),
)


def run_setting(
    setting: Setting,
    names: Iterable[str],
    models: Models,
    *,
    count: int,
    slow_count: int,
    seed: int,
    out: Path,
    say: Callable[[str], object],
) -> dict[str, Any]:
    """Run all planners on `count` tasks; resume from the lines in `out`.

    TorchRec's planners run on the first `slow_count` tasks.
    """
    names = list(names)
    done: dict[tuple[int, str], dict[str, Any]] = {}
    if out.is_file():
        for line in out.read_text().splitlines():
            row = json.loads(line)
            if row["setting"] == setting.name and row["seed"] == seed:
                done[(row["task"], row["planner"])] = row
    with out.open("a") as file:
        for k, spec in enumerate(tasks(setting, count, seed)):
            for name in names:
                if (k, name) in done or (name.startswith("torchrec") and k >= slow_count):
                    continue
                planned = PLANNERS[name](spec, models)
                row = {
                    "setting": setting.name,
                    "seed": seed,
                    "task": k,
                    "tables": len(spec.tables),
                    "planner": name,
                    "cost_ms": planned.cost_ms,
                    "seconds": round(planned.seconds, 4),
                    **(planned.extra or {}),
                }
                done[(k, name)] = row
                file.write(json.dumps(row) + "\n")
                file.flush()
            if (k + 1) % 10 == 0:
                say(f"{setting.name}: {k + 1}/{count} tasks")
    return summarise(
        setting, [r for r in done.values() if r["planner"] in names and r["task"] < count]
    )


def summarise(setting: Setting, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return success, costs, wins and saved share of each planner.

    Costs are compared on tasks that the planner and trimtab solved.
    """
    by_planner: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        by_planner.setdefault(row["planner"], {})[row["task"]] = row
    mine = by_planner.get("trimtab", {})
    gaps = [r["gap"] for r in mine.values() if r.get("gap") is not None]
    search_gaps = [
        r["search_gap"] for r in mine.values() if r.get("search_gap") is not None
    ]
    covered = [r["covered"] for r in mine.values() if r.get("covered") is not None]
    table = []
    for name, tasks_of in by_planner.items():
        solved = {k for k, r in tasks_of.items() if r["cost_ms"] is not None}
        both = sorted(k for k in solved if mine.get(k, {}).get("cost_ms") is not None)
        line: dict[str, Any] = {
            "planner": name,
            "tasks": len(tasks_of),
            "success": len(solved) / max(1, len(tasks_of)),
            "seconds_median": float(np.median([r["seconds"] for r in tasks_of.values()])),
        }
        if both:
            theirs = np.array([tasks_of[k]["cost_ms"] for k in both])
            ours = np.array([mine[k]["cost_ms"] for k in both])
            line |= {
                "compared": len(both),
                "mean_ms": float(theirs.mean()),
                "trimtab_ms": float(ours.mean()),
                "saved": float(1 - ours.mean() / theirs.mean()),
                "saved_interval": bootstrap_saved(ours, theirs),
                "never_worse": float((ours <= theirs * (1 + 1e-9)).mean()),
                "wins": int((ours < theirs * (1 - 1e-9)).sum()),
                "losses": int((ours > theirs * (1 + 1e-9)).sum()),
            }
        table.append(line)
    return {
        "setting": setting.name,
        "accepted_draws": accepted_share(setting),
        "proved_impossible": sum(1 for r in mine.values() if r.get("proved_impossible")),
        "interval_coverage": float(np.mean(covered)) if covered else None,
        "gap_median": float(np.median(gaps)) if gaps else None,
        "search_gap_median": float(np.median(search_gaps)) if search_gaps else None,
        "planners": table,
    }


def bootstrap_saved(ours: np.ndarray, theirs: np.ndarray) -> list[float]:
    """Return the 95 % bootstrap interval, over tasks, of 1 - mean(ours) / mean(theirs)."""
    _, low, high = ratio_of_means(ours.tolist(), theirs.tolist(), draws=2_000)
    return [1 - high, 1 - low]

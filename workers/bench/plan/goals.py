"""Suite `goals`: outlines of goals in words, judged against reference graphs.

Each goal counts once: right at once; right after one closed question, which a script answers from
the reference; right after one closed question that the reference does not list, answered by the
option that leads to the reference; wrong and said so (it asks more, refuses, or underlines words
that it did not understand); or silently wrong.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workers.bench.stats import quantile, wilson
from workers.corpus.goals.files import Contents
from workers.corpus.goals.outcomes import (
    AFTER_MORE,
    AFTER_ONE,
    AFTER_OWN,
    AT_ONCE,
    MARKED,
    SILENT,
    judged,
)
from workers.corpus.goals.planning import Plans
from workers.corpus.goals.references import Goal

NO_GOALS = ("hostile",)  # files of the folder with other lines


def lines(
    arms: Mapping[str, Plans],
    goals: Sequence[Goal],
    content: Contents,
    *,
    held_out: bool,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield one line for each goal and arm, then one summary for each arm.

    Lines of held-out goals say no more than their outcome.
    """
    for arm, planner in arms.items():
        rows = []
        for goal in goals:
            row = judged(planner, goal, content, seed=seed).line(arm)
            rows.append(row)
            if not held_out:
                yield row
        yield summary(arm, rows, held_out=held_out)


def summary(
    arm: str, rows: Sequence[Mapping[str, Any]], *, held_out: bool
) -> dict[str, Any]:
    """Return the figures over all goals of one arm, with Wilson intervals of 95 %."""
    count = len(rows)
    counts = Counter(row["outcome"] for row in rows)
    shares = {
        AT_ONCE: counts[AT_ONCE],
        "right after at most one question": counts[AT_ONCE] + counts[AFTER_ONE],
        "right after at most one question of any kind": counts[AT_ONCE]
        + counts[AFTER_ONE]
        + counts[AFTER_OWN],
        AFTER_MORE: counts[AFTER_MORE],
        # Stricter than silent: underlined words alone do not count as said.
        "wrong, and nothing asked or refused": sum(
            row["outcome"] in (MARKED, SILENT) and not row["asked"] and not row["refused"]
            for row in rows
        ),
        MARKED: counts[MARKED],
        SILENT: counts[SILENT],
    }
    strata: dict[str, list[str]] = {}
    for row in rows:
        strata.setdefault(row["stratum"], []).append(row["outcome"])
    met, meant, planned, in_reference = (
        sum(row[name] for row in rows) for name in ("met", "meant", "planned", "wanted")
    )
    won: Counter[str] = Counter()
    fates: Counter[str] = Counter()
    for row in rows:
        won.update(row["won"])
        fates.update(row["model_candidates"])
    closed = [row for row in rows if not row["open"]]
    held = sum(row["outcome"] == AT_ONCE for row in closed)
    return {
        "arm": arm,
        "summary": True,
        "held_out": held_out,
        "goals": count,
        **{
            name: {
                "count": number,
                "share": _share(number, count),
                "wilson": wilson(number, count),
            }
            for name, number in shares.items()
        },
        "slot_precision": _share(meant, planned),
        "slot_recall": _share(met, in_reference),
        "questions_mean": round(statistics.fmean(row["asked"] for row in rows), 3),
        "questions_median": statistics.median(row["asked"] for row in rows),
        "impossible_parts": sum(row["impossible"] for row in rows),
        "impossible_unnamed": sum(row["unnamed"] for row in rows),
        "right where nothing is open": {
            "count": held,
            "of": len(closed),
            "wilson": wilson(held, len(closed)),
        },
        "leaves_won": dict(won),
        "model_candidates": dict(fates),
        "cpu_s_p50": quantile([row["cpu_s"] for row in rows], 0.5),
        "cpu_s_p95": quantile([row["cpu_s"] for row in rows], 0.95),
        "wall_s_max": max(row["wall_s"] for row in rows),
        "strata": {
            name: dict(Counter(outcomes)) for name, outcomes in sorted(strata.items())
        },
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None

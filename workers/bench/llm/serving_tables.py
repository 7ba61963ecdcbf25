"""Tables of the engine in service, and of its agreement with the oracle."""

from __future__ import annotations

from workers.bench.llm.published import AGREEMENT, BUSY, SERVING
from workers.bench.tables.page import Table
from workers.bench.tables.results import Row, rows_of, source


def by_suite() -> dict[str, Row]:
    """Return the line of each suite."""
    return {row["suite"].removeprefix("llm-"): row for row in rows_of(SERVING)}


def serving_table() -> Table:
    """Return the table of memory, first token, cancel and soak."""
    rows = by_suite()
    return Table(
        title="Memory, first token, cancel, soak",
        intro="One process, one thread.",
        columns=("figure", "measured", "goal"),
        rows=[
            row for name in _SERVING if name in rows for row in _SERVING[name](rows[name])
        ],
        command="for s in memory prefix cancel soak; do python -m workers.bench llm $s; done",
        source=source(SERVING, remark=BUSY),
    )


def _memory_rows(row: Row) -> list[list[str]]:
    return [
        [
            f"memory above the weights, {row['sequences']} sequences of {row['prompt_tokens']:,} "
            f"tokens in {row['slots']:,} slots",
            f"{row['above_weights_mb']:.0f} MB (full cache {row['full_cache_mb']:,.0f} MB)",
            "450 MB",
        ]
    ]


def _prefix_rows(row: Row) -> list[list[str]]:
    return [
        [
            f"first token of {row['prompt_tokens']} tokens, {row['pinned_tokens']} of them pinned "
            "and known",
            f"{row['known_wall_s']:.2f} s wall, {row['known_cpu_s']:.2f} s CPU "
            f"(new: {row['new_cpu_s']:.2f} s CPU)",
            "1.5 s",
        ]
    ]


def _cancel_rows(row: Row) -> list[list[str]]:
    return [
        [
            f"cancel to end of the answer, p99 of {row['cancels']}, {row['streams']} streams",
            f"{row['ended']['p99_ms']:.1f} ms",
            "one step + 50 ms",
        ],
        [
            "cancel to its place free again, p99",
            f"{row['row_freed']['p99_ms']:.0f} ms (step: median {row['step']['p50_ms']:.0f}, p99 "
            f"{row['step']['p99_ms']:.0f} ms)",
            "one step + 50 ms",
        ],
    ]


def _soak_rows(row: Row) -> list[list[str]]:
    low, high = row["slope_interval"]
    return [
        [
            f"{row['streams']} streams for {row['seconds']:.0f} s: {row['requests']:,} requests, "
            f"{row['tokens']:,} tokens",
            f"{row['slope_mb_per_minute']:+.2f} MB/min [{low:+.2f}, {high:+.2f}], "
            f"{len(row['failures'])} failures",
            "0, 10 minutes",
        ]
    ]


_SERVING = {
    "memory": _memory_rows,
    "prefix": _prefix_rows,
    "cancel": _cancel_rows,
    "soak": _soak_rows,
}


def agreement_table() -> Table:
    """Return the table of the engine against the oracle."""
    rows = rows_of(AGREEMENT)
    return Table(
        title="Engine against the layer-wise oracle",
        intro=f"{rows[0]['tokens']} tokens of prose through decode steps in float32 with "
        f"{rows[0]['slots']} slots, against the simulation that shares no code with the engine. "
        "Compared every eight steps: logits, and the positions that each of 90 heads holds.",
        columns=("rule", "greatest difference of a logit", "heads that differ"),
        rows=[
            [
                row["rule"],
                f"{row['logit_difference']:.1e}",
                f"{row['heads_differing']} of {row['heads_compared']:,}",
            ]
            for row in rows
        ],
        notes=("Goal: at most 1e-4, and no head that differs.",),
        command="python -m workers.bench llm agreement",
        source=source(AGREEMENT),
    )

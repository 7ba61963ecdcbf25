"""Table of story mode: four arms side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workers.bench.plan.published import STORY
from workers.bench.plan.story.draft import ARMS
from workers.bench.plan.story.run import paired
from workers.bench.tables.page import Table
from workers.bench.tables.results import Row, rows_of, source

_FIGURES = ("told", "rep4", "distinct2", "perplexity")


def table() -> Table:
    """Return the table."""
    rows = whole(rows_of(STORY))
    premises = len({row["premise"] for row in rows})
    words = np.mean([row["words"] for row in rows])
    leaves = sum(len(row["told"]) for row in rows if row["arm"] == "full")
    return Table(
        title="Story mode",
        intro=f"Stories of the embedded model, {words:.0f} words each on average, from {premises} "
        "premises, one of each premise and arm, by DOC's outline and drafting (arXiv 2212.10077) "
        "at the size of two cores: the first item of the outline with its four leaves, three "
        "substeps of 16 tokens a leaf, two candidates. Adherence: leaves that the passage at "
        "their place tells, by MiniLM's cosine above the cut that lets 5 % of pairs of different "
        f"premises through; {leaves} leaves an arm. Perplexity is the model's own.",
        columns=("arm", "adherence", "rep-4", "distinct-2", "perplexity"),
        rows=[_row(rows, arm) for arm in ARMS],
        notes=(
            "Differences to `no-control`, with 95 % intervals of a bootstrap over premises: "
            + "; ".join(_gap(rows, arm) for arm in ARMS if arm != "no-control")
            + ".",
            "`rolling` and `no-outline` never see the leaves: their adherence is a floor. Ranks of "
            "candidates use shared words, likelihood and repetition, neither the controller nor "
            "the judge. Strength grows within an item as over the paper's eight substeps: 0, 6, "
            "10 in a leaf of three.",
        ),
        command="python -m workers.bench plan story",
        source=source(STORY),
    )


def whole(rows: Sequence[Row]) -> list[Row]:
    """Return the stories of premises that have all arms."""
    arms: dict[tuple[int, int], set[str]] = {}
    for row in rows:
        arms.setdefault((row["premise"], row["story_seed"]), set()).add(row["arm"])
    return [r for r in rows if arms[r["premise"], r["story_seed"]] >= set(ARMS)]


def _row(rows: Sequence[Row], arm: str) -> list[str]:
    of_arm = [row for row in rows if row["arm"] == arm]
    told = np.mean([np.mean(row["told"]) for row in of_arm])
    means = {name: np.mean([row[name] for row in of_arm]) for name in _FIGURES[1:]}
    return [
        arm,
        f"{told:.0%}",
        f"{means['rep4']:.3f}",
        f"{means['distinct2']:.3f}",
        f"{means['perplexity']:.1f}",
    ]


def _gap(rows: Sequence[Row], arm: str) -> str:
    told = [100 * value for value in paired(rows, "told", arm, "no-control")]
    spoken = f"{told[0]:+.1f} points [{told[1]:+.1f}, {told[2]:+.1f}]"
    mean, low, high = paired(rows, "rep4", arm, "no-control")
    return f"{arm} adherence {spoken}, rep-4 {mean:+.3f} [{low:+.3f}, {high:+.3f}]"

"""Tables of loss against budget, the default rules and recall, and the picture."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from workers.bench.llm import budget_table, picture
from workers.bench.llm.budget_table import above_full, losses, paired
from workers.bench.llm.published import PICTURE, QUALITY, RECALL, TUNING
from workers.bench.llm.quality import AFTER_PROMPT, BUDGETS, SHARES
from workers.bench.llm.texts import TEST
from workers.bench.tables.page import Table
from workers.bench.tables.results import Row, rows_of, source


def loss_table(rows: Sequence[Row], share: float) -> Table:
    """Return the loss of every rule at a budget, above the full cache."""
    kinds = budget_table.types(rows)
    return Table(
        title=f"Loss at a budget of {share:.0%} of the text".replace("%", " %"),
        intro="Nats per token above the full cache on the second half of each text, mean and 95 % "
        "interval of a paired bootstrap over segments; less is better. Every token is evicted in "
        "its turn, from the first on. The rows `after prompt` read the first half under full "
        "attention before they evict: they have seen more.",
        columns=("rule", *kinds),
        rows=[
            ["full cache, loss"]
            + [f"{losses(rows, kind, 'full', 1.0).mean():.3f}" for kind in kinds],
            *(
                [rule] + [_above(rows, kind, rule, share) for kind in kinds]
                for rule in BUDGETS
            ),
        ],
        notes=_picture_note(rows) if share == SHARES[0] else (),
        command="python -m workers.bench llm quality",
        source=source(QUALITY),
    )


def _picture_note(rows: Sequence[Row]) -> Sequence[str]:
    counts = {
        kind: len(losses(rows, kind, "full", 1.0)) for kind in budget_table.types(rows)
    }
    tokens = rows[0]["tokens"]
    segments = ", ".join(f"{count} of {kind}" for kind, count in counts.items())
    return (
        f"Segments of {tokens} tokens: {segments}. `h2o sum` is H2O as published; the other H2O "
        "rows keep the first four tokens."
        + (
            f" {len(TEST)} of each type were asked for: the machine's time ended before."
            if min(counts.values()) < len(TEST)
            else ""
        ),
        f"![Loss above the full cache against the share of tokens kept]({PICTURE.name})",
    )


def _above(rows: Sequence[Row], kind: str, rule: str, share: float) -> str:
    difference = above_full(rows, kind, rule, share)
    return f"{difference.mean:+.3f} [{difference.low:.3f}, {difference.high:.3f}]"


def default_table(rows: Sequence[Row], tuning: Sequence[Row]) -> Table:
    """Return the differences between default and rivals on the test segments."""
    return Table(
        title="The default rule against its rivals",
        intro="Difference in nats per token on the test segments, negative where the default is "
        "better, and the one-sided p of a paired bootstrap. The default of each type of text was "
        f"chosen on {len(tuning) // len(budget_table.types(tuning))} other segments of it. Goal: "
        "at most both rivals', p < 0.05.",
        columns=(
            "text, budget",
            "default",
            "against StreamingLLM",
            "against H2O's sum",
            "order",
        ),
        rows=[
            _default_row(rows, tuning, kind, share)
            for kind in budget_table.types(rows)
            for share in SHARES
        ],
        notes=(
            "Order: one-pass rules by mean loss, best first. Rules whose means differ by less than "
            "their interval are not distinguished.",
        ),
        command="python -m workers.bench llm tuning; python -m workers.bench llm quality",
        source=source(QUALITY, TUNING),
    )


def _default_row(
    rows: Sequence[Row], tuning: Sequence[Row], kind: str, share: float
) -> list[str]:
    default = budget_table.choose(tuning, kind)
    own = losses(rows, kind, default, share)
    cells = []
    for rival in ("streaming", "h2o sum"):
        if rival == default:
            cells.append("itself")
            continue
        difference = paired(own, losses(rows, kind, rival, share))
        cells.append(
            f"{difference.mean:+.3f} [{difference.low:.3f}, {difference.high:.3f}], "
            f"p {_p(difference.p)}"
        )
    one_pass = [rule for rule in BUDGETS if not rule.endswith(AFTER_PROMPT)]
    order = sorted(one_pass, key=lambda rule: losses(rows, kind, rule, share).mean())
    return [
        f"{kind}, {share:.0%}".replace("%", " %"),
        default,
        *cells,
        ", ".join(rule.removeprefix("h2o ") for rule in order),
    ]


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def drawn(rows: Sequence[Row]) -> str:
    """Return the picture of loss against budget."""
    rules = ["streaming", "h2o sum", "h2o mean", "h2o decay", "tova"]
    panels = {}
    for kind in budget_table.types(rows):
        curves = {}
        for rule in rules:
            points = [(1.0, 0.0, 0.0, 0.0)]
            for share in SHARES:
                one = above_full(rows, kind, rule, share)
                points.append((share, one.mean, one.low, one.high))
            curves[rule] = points
        panels[kind] = curves
    highest = max(
        high for curves in panels.values() for c in curves.values() for *_, high in c
    )
    return picture.draw(panels, highest=highest * 1.05)


def recall_table(task: str) -> Table:
    """Return the table of a recall task: `copy` or `needle`."""
    rows = [row for row in rows_of(RECALL) if row["task"] == task]
    keys = list(
        dict.fromkeys(
            (one["condition"], one["rule"])
            for row in rows
            for one in row["rules"]
            if one["share"] < 1
        )
    )
    shares = sorted({one["share"] for one in rows[0]["rules"] if one["share"] < 1})
    full = _recall_cell(rows, "", "full", 1.0)
    what = {
        "copy": f"64 tokens, 300 tokens of other text, the same 64 again; {len(rows)} texts. Loss "
        "in nats per token, and accuracy, on the last 56.",
        "needle": f"A ledger of 14 jobs, and a question for the objective of one; {len(rows)} "
        "draws. Loss in nats per token of the answer, and share of right tokens.",
    }[task]
    return Table(
        title={"copy": "Copying early text", "needle": "A needle in a ledger"}[task],
        intro=f"{what} One pass: the cache evicts from the first token on. Late query: text and "
        "question are read under full attention, then the cache is cut once. Pinned: one pass, "
        "and the span that the answer needs is pinned.",
        columns=(
            "condition",
            "rule",
            *(f"{share:.0%} of the tokens".replace("%", " %") for share in shares),
        ),
        rows=[
            ["", "full cache", *[full] * len(shares)],
            *(
                [condition, rule]
                + [_recall_cell(rows, condition, rule, share) for share in shares]
                for condition, rule in keys
            ),
        ],
        notes=(
            "Goals: pinned 100 % of the full cache's accuracy; SnapKV after a late query at least "
            "90 % of it at 25 %.",
        )
        if task == "copy"
        else (),
        command="python -m workers.bench llm recall",
        source=source(RECALL),
    )


def recall(
    rows: Sequence[Row], condition: str, rule: str, share: float
) -> tuple[float, float]:
    """Return mean loss and mean accuracy."""
    chosen = [
        one
        for row in rows
        for one in row["rules"]
        if (one["condition"], one["rule"], one["share"]) == (condition, rule, share)
    ]
    return (
        statistics.fmean(one["nats"] for one in chosen),
        statistics.fmean(one["accuracy"] for one in chosen),
    )


def _recall_cell(rows: Sequence[Row], condition: str, rule: str, share: float) -> str:
    nats, accuracy = recall(rows, condition, rule, share)
    return f"{nats:.2f}, {accuracy:.2f}"

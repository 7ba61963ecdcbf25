"""Result files of the published figures of language models, and what holds for all of them."""

from __future__ import annotations

from workers.bench.tables.results import MEASURED

DATE = "2026-11-30"
QUALITY, TUNING, RECALL, SPEED, SERVING, AGREEMENT = (
    f"{DATE}-llm-{name}"
    for name in ("quality", "tuning", "recall", "speed", "serving", "agreement")
)
MODEL = "smollm2-135m-instruct"
BUSY = (
    "Other work ran beside it (load 5 to 25 on two cores): CPU time is comparable within a table "
    "and not between days, wall times are upper bounds."
)
PICTURE = MEASURED / "llm-budget.svg"

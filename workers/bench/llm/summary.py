"""The figures that language models were asked for, each beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from workers.bench.llm import budget_table, quality_tables, serving_tables, speed_tables
from workers.bench.llm.budget_table import losses, paired
from workers.bench.llm.published import (
    AGREEMENT,
    BUSY,
    QUALITY,
    RECALL,
    SERVING,
    SPEED,
    TUNING,
)
from workers.bench.llm.quality import SHARES
from workers.bench.tables.page import Table
from workers.bench.tables.results import Row, rows_of, source


def summary_table(quality: Sequence[Row], tuning: Sequence[Row]) -> Table:
    """Return the goals and the figures, with what was not measured."""
    agreement = rows_of(AGREEMENT)
    rows = [
        (
            "engine against the layer-wise oracle",
            "logits within 1e-4, same tokens held",
            f"{max(row['logit_difference'] for row in agreement):.1e}, "
            f"{sum(row['heads_differing'] for row in agreement)} heads differ",
        ),
        (
            f"default rule against StreamingLLM and H2O's sum, {_settings(quality)} settings",
            "less loss, p < 0.05",
            _wins(quality, tuning),
        ),
        ("copy, span pinned", "100 % of full", _copy("pinned", "h2o decay", 0.25)),
        (
            "copy, SnapKV after a late query, 25 %",
            "90 % of full",
            f"{_copy('late query', 'snapkv', 0.25)}; pool of 63: "
            f"{_copy('late query', 'snapkv pool 63', 0.25)}",
        ),
        ("decode at 8k, 20 %, against our full cache", "1.6 ×", _ratio("1x7936")),
        ("the same, eight sequences of 2k", "2.0 ×", _ratio("8x2048")),
        *(
            (
                f"time per token against {rival}, {scenario.replace('x', ' × ')}",
                "1.3" if scenario.startswith("1x") else "1.0",
                _against(scenario, rival),
            )
            for scenario in ("1x512", "1x2048", "8x512", "8x2048")
            for rival in ("xllamacpp", "openvino")
        ),
        *_serving(),
        ("Triton on a GPU, its roofline", "60 % of bandwidth", "not run: no GPU"),
        ("value for a planner", "published", "not run: later"),
    ]
    return Table(
        title="Goals",
        intro="Details and intervals are below. Loaders, kernels and grammars are checked by tests "
        "(tests/workers/llm, tests/cuda).",
        columns=("figure", "goal", "measured"),
        rows=rows,
        command="python -m workers.bench llm --help",
        source=source(QUALITY, TUNING, RECALL, SPEED, SERVING, AGREEMENT, remark=BUSY),
    )


def _serving() -> list[tuple[str, str, str]]:
    """Return the rows of the suites that were run."""
    serving = serving_tables.by_suite()
    rows = []
    if "memory" in serving:
        row = serving["memory"]
        rows.append(
            (
                f"memory above the weights, {row['sequences']} × {row['prompt_tokens']:,} tokens "
                f"in {row['slots']:,} slots",
                "450 MB",
                f"{row['above_weights_mb']:.0f} MB",
            )
        )
    if "prefix" in serving:
        row = serving["prefix"]
        rows.append(
            (
                "first token with a known prefix",
                f"{row['limit_s']} s",
                f"{row['known_wall_s']:.2f} s wall",
            )
        )
    if "cancel" in serving:
        row = serving["cancel"]
        rows.append(
            (
                "cancel, p99",
                f"{row['step']['p99_ms'] + 50:.0f} ms (a step + 50 ms)",
                f"{row['ended']['p99_ms']:.0f} ms; place free {row['row_freed']['p99_ms']:.0f} ms",
            )
        )
    if "soak" in serving:
        row = serving["soak"]
        rows.append(
            (
                f"memory of 8 streams over {row['seconds']:.0f} s",
                "flat, 600 s",
                f"{row['slope_mb_per_minute']:+.2f} MB/min",
            )
        )
    return rows


def _settings(quality: Sequence[Row]) -> int:
    return len(budget_table.types(quality)) * len(SHARES)


def _wins(quality: Sequence[Row], tuning: Sequence[Row]) -> str:
    """Return in how many settings the default is better, and how often with p < 0.05."""
    texts = []
    for rival, name in (("streaming", "StreamingLLM"), ("h2o sum", "H2O's sum")):
        differences = []
        for kind in budget_table.types(quality):
            default = budget_table.choose(tuning, kind)
            if default != rival:
                differences += [
                    paired(
                        losses(quality, kind, default, share),
                        losses(quality, kind, rival, share),
                    )
                    for share in SHARES
                ]
        same = _settings(quality) - len(differences)
        texts.append(
            f"{name}: {sum(one.mean <= 0 for one in differences)} of {len(differences)} better, "
            f"{sum(one.p < 0.05 for one in differences)} with p < 0.05"
            + (f", in {same} it is the default" if same else "")
        )
    return "; ".join(texts)


def _copy(condition: str, rule: str, share: float) -> str:
    rows = [row for row in rows_of(RECALL) if row["task"] == "copy"]
    _, accuracy = quality_tables.recall(rows, condition, rule, share)
    _, full = quality_tables.recall(rows, "", "full", 1.0)
    return f"{accuracy / full:.0%}".replace("%", " %")


def _ratio(scenario: str) -> str:
    rows = speed_tables.measured()
    interval = speed_tables.ratio(rows, scenario, "own full", "own h2o")
    if interval is None:
        return "not run"
    ratio, low, high = interval
    ceiling = speed_tables.ceiling_of(rows, scenario)
    return f"{ratio:.2f} × [{low:.2f}, {high:.2f}], ceiling by bytes {ceiling:.2f} ×"


def _against(scenario: str, rival: str) -> str:
    rows = speed_tables.measured()
    interval = speed_tables.ratio(rows, scenario, "own full", rival)
    if interval is None:
        return "not run"
    ratio, low, high = interval
    return f"{ratio:.2f} [{low:.2f}, {high:.2f}]"

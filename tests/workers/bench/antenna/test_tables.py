"""The measured page: tables of the stored lines, and of suites whose lines come later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workers.bench.antenna import tables
from workers.bench.tables import results
from workers.bench.tables.page import render

NET = {
    "trunk": "cnn",
    "head": "rlc",
    "samples": 1000,
    "cavity": True,
    "feeds": 6,
    "poles": 12,
}
SEARCH = {
    "arm": "funnel",
    "on": "the 20 specifications",
    "runs": 20,
    "exact": 13,
    "exact_interval": [10, 16],
    "within_2_percent": 17,
    "within_2_percent_interval": [14, 19],
    "median_fine_solves": 12.0,
    "median_cpu_s": 31.0,
}


def test_the_stored_lines_give_a_page() -> None:
    text = render(tables.page())
    assert "## Agreement of the field solvers" in text
    assert "## Patches against cavity theory" in text
    assert "Chang, Long and" in text
    for row in (line for line in text.splitlines() if line.startswith("| ")):
        assert row.count("|") in (5, 7), row


def test_study_and_search_have_tables_once_their_lines_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = sorted(results.RESULTS.glob("*-antenna-solvers.jsonl"))[-1]
    (tmp_path / stored.name).write_text(stored.read_text())
    head = {"date": "2026-11-30", "seed": 0}
    lines: list[dict[str, Any]] = [
        {"suite": "antenna-search", **head, **SEARCH},
        {"suite": "antenna-search", **head, "task": 0, "arm": "funnel"},
    ]
    for seed, error in enumerate((0.10, 0.12)):
        line = {"net": {**NET, "seed": seed}, "db_mae": 2.0, "complex_mae": error}
        line["random"] = {"rank_correlation": 0.9}
        lines.append({"suite": "antenna-surrogate", **head, **line})
    ablation = {"net": {**NET, "cavity": False}, "db_mae": 9.0}
    lines.append({"suite": "antenna-surrogate", **head, **ablation})
    (tmp_path / "2026-11-30-antenna-later.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines)
    )
    for module in (tables, results):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    page = tables.page()
    text = render(page)
    assert "| cnn, rlc | 1,000 | 0.110 [0.100, 0.120] | 2.00 [2.00, 2.00] | 0.900" in text
    assert "9.00" not in text
    assert (
        "| funnel, the 20 specifications | 20 | 13 [10, 16] | 17 [14, 19] | 12 | 31 |"
        in text
    )
    assert "13 of 20 specifications confirmed exactly" in page.headline.better

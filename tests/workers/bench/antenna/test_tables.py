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
    "seed": 0,
    "cavity": True,
    "feeds": 6,
    "poles": 12,
}
PICKED = {"picked": {"specifications": 9, "met_in_1": 2, "met_in_4": 5, "met_in_16": 8}}
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


BOARDS = ("agreement", "thin")


def test_the_stored_lines_give_a_page() -> None:
    text = render(tables.page())
    assert "## Agreement of the field solvers" in text
    assert "## Patches against cavity theory" in text
    assert "Chang, Long and" in text
    for row in (line for line in text.splitlines() if line.startswith("| ")):
        assert 4 <= row.count("|") <= 7, row


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
    nets: list[dict[str, Any]] = [
        {"net": {**NET, "seed": 0}, "db_mae": 2.0, "complex_mae": 0.10, "epochs": 26},
        {"net": {**NET, "seed": 1}, "db_mae": 2.0, "complex_mae": 0.12, "epochs": 26},
        {"net": {**NET, "samples": 5000}, "db_mae": 1.8, "complex_mae": 0.09, **PICKED},
        {"net": {**NET, "head": "direct"}, "db_mae": 3.0, "complex_mae": 0.22},
        {"net": {**NET, "head": "czp"}, "db_mae": 1.5},
        {"net": {**NET, "head": "db"}, "db_mae": 2.0},
        {"net": {**NET, "cavity": False}, "db_mae": 9.0},
    ]
    for net in nets:
        net["random"] = {"rank_correlation": 0.9}
    reduced = {"modes": 20, "complex_mae": 0.023, "db_mae": 0.16}
    reduced |= {"yardstick": "reduced", "rank_correlation": 0.9967}
    lines += [{"suite": "antenna-surrogate", **head, **net} for net in [*nets, reduced]]
    (tmp_path / "2026-11-30-antenna-later.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines)
    )
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    page = tables.page()
    text = render(page)
    assert "| trunk, head | 1,000 | 5,000 |" in text
    assert "| cnn, rlc | 0.110 [0.100, 0.120] | 0.090 |" in text
    assert "| cnn, rlc | 2.00 [2.00, 2.00] | 1.80 |" in text
    assert "Passes over the training designs: 26 at 1,000." in text
    assert "| cnn, 1,000 | rlc 0.110 | 0.220 | 50 % | 25 % | 1 |" in text
    assert "| 20 modes of the metal, nothing learned | 0.023 | 0.16 | 0.997 |" in text
    assert "| cnn, rlc | 5,000 | 9 | 2.0 | 5.0 | 8.0 |" in text
    assert "| cnn, rlc, 1,000: without the cavity model | – | 9.00 | 0.900 | 1 |" in text
    assert "| cnn, rlc, 1,000: as above | 0.110 [0.100, 0.120] |" in text
    assert (
        "| funnel, the 20 specifications | 20 | 13 [10, 16] | 17 [14, 19] | 12 | 31 |"
        in text
    )
    assert "13 of 20 specifications confirmed exactly" in page.headline.better


def test_rows_of_the_shipped_surrogate_and_of_searches_on_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = {"date": "2026-11-30", "seed": 0}
    figures = {"complex_mae": 0.01, "db_mae": 0.1, "rank_correlation": 0.99}
    of_search = {f"rank_{k}": 0.9 + 0.01 * k for k in range(3)}
    of_search |= {f"complex_{k}": 0.02 for k in range(3)}
    ranks = [
        {"held_out": "random", "mesh": "fine", "designs": 40, **figures},
        {"task": 3, "bands_ghz": [], "designs": 90, **of_search},
        {"task": "all", "tasks": 1, **of_search},
    ]
    met = {f"met_after_{k}": k for k in (1, 2, 4)}
    met |= {f"met_after_{k}_interval": [0, k + 1] for k in (1, 2, 4)}
    alone = {"on": "all", "model": "modal", "active": True, "runs": 30, **met}
    alone |= {"mean_error_of_chosen_db": 0.25, "mean_cpu_s": 4.0}
    mesh = {"coarse_fine": 0.0287, "coarse_fine_interval": [0.02, 0.03], "designs": 300}
    mesh |= {"coarse_plain_fine": 0.05, "coarse_plain_fine_interval": [0.04, 0.06]}
    mesh |= {"eps_r": 2.2, "thickness_over_cell": 1.06, "fitted": False}
    mesh |= {"designs_of": "rectangles"}
    lines = [
        *({"suite": "antenna-surrogate-ranks", **head, **row} for row in ranks),
        {"suite": "antenna-surrogate-search", **head, **alone},
        *({"suite": "antenna-meshes", **head, "board": b, **mesh} for b in BOARDS),
    ]
    stored = sorted(results.RESULTS.glob("*-antenna-solvers.jsonl"))[-1]
    (tmp_path / stored.name).write_text(stored.read_text())
    (tmp_path / "2026-11-30-antenna-more.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines)
    )
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    text = render(tables.page())
    assert "| held-out random designs, fine mesh | 0.0100 | 0.100 | 0.9900 | 40 |" in text
    assert "two thirds (1 searches) | 0.0200 |  | 0.9200 | 30 |" in text
    assert (
        "| modal, learning | 30 | 1 [0, 2] / 2 [0, 3] / 4 [0, 5] / – | 0.25 | 4.0 |"
        in text
    )
    assert "| thin, ε_r 2.2, 1.06, not fitted | random | 300 | 0.050 | 0.029 [" in text
    assert "| 1 x 1 against 2 x 2 cells a pixel | 0.029 [0.020, 0.030] |" in text
    assert "20 designs | 0.05 | 0.0287 (0.0500 without correction) | met | meshes" in text

"""Suites of kind `antenna`, at their smallest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workers.bench.antenna import cli, search


def test_agreement_without_openems_compares_the_two_fidelities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_OPENEMS", "/nonexistent/openEMS")
    out = tmp_path / "lines.jsonl"
    arguments = ["agreement", "--designs", "2", "--cells", "6", "--frequencies", "21"]
    assert cli.main([*arguments, "--out", str(out)]) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["design"] for line in lines] == [0, 1, "all"]
    assert 0 < lines[-1]["coarse_fine"] < 0.2
    low, high = lines[-1]["coarse_fine_interval"]
    assert low <= lines[-1]["coarse_fine"] <= high
    assert "no openEMS" in lines[0]["openems_failed"]
    assert 0 < lines[-1]["fine_finest"] < lines[-1]["coarse_fine"]


def test_search_counts_what_each_method_met(tmp_path: Path) -> None:
    out = tmp_path / "lines.jsonl"
    arguments = [
        "search",
        "--tasks",
        "7",
        "--methods",
        "random",
        "--coarse",
        "20",
        "--fine",
        "2",
    ]
    assert cli.main([*arguments, "--verify-runs", "0", "--out", str(out)]) == 0
    run, total = (json.loads(line) for line in out.read_text().splitlines())
    assert run["coarse_solves"] == 20
    assert 1 <= run["fine_solves"] <= 2
    assert run["verdict"] == "not checked by a second solver"
    assert total["met_by_fine_solver"] == (run["margin_db"] >= 0)


def test_there_are_twenty_tasks_whose_bands_do_not_overlap() -> None:
    assert len(search.TASKS) == 20
    for bands in search.TASKS:
        edges = [edge for band in bands for edge in band]
        assert edges == sorted(edges)

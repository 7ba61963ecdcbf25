"""Suites of kind `antenna`, at their smallest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workers.bench.antenna import cli, specifications, tuning


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
        "--arms",
        "funnel by random",
        "--coarse",
        "20",
        "--fine",
        "2",
    ]
    assert cli.main([*arguments, "--verify-runs", "0", "--out", str(out)]) == 0
    run, total = (json.loads(line) for line in out.read_text().splitlines())
    assert run["held_out"] is False
    assert run["coarse_solves"] == 20
    assert 1 <= run["fine_solves"] <= 2
    assert run["verdict"] == "not checked by a second solver"
    assert total["met_by_fine_solver"] == (run["margin_db"] >= 0)


def test_a_second_run_resumes(tmp_path: Path) -> None:
    out = tmp_path / "lines.jsonl"
    arguments = ["search", "--tasks", "7", "--arms", "random on the fine solver"]
    arguments += ["--fine", "3", "--verify-runs", "0", "--out", str(out)]
    assert cli.main(arguments) == 0
    assert cli.main(arguments) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    runs = [line for line in lines if "task" in line]
    assert [run["fine_solves"] for run in runs] == [3]
    totals = [line for line in lines if "task" not in line]
    assert [total["median_fine_solves"] for total in totals] == [4.0, 4.0]


def test_the_rivals_are_tuned_on_specifications_of_their_own(tmp_path: Path) -> None:
    assert not set(specifications.TUNING) & set(specifications.ALL)
    out = tmp_path / "lines.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "TUNING", specifications.TUNING[:1])
        patch.setattr(tuning, "GRID", {k: v[:1] for k, v in tuning.GRID.items()})
        assert cli.main(["tune", "--fine", "3", "--out", str(out)]) == 0
    (line,) = (json.loads(line) for line in out.read_text().splitlines())
    assert line["runs"] == 1
    assert line["mean_margin_db"] <= 3.5


def test_there_are_twenty_tasks_and_ten_held_out_whose_bands_do_not_overlap() -> None:
    assert (len(specifications.TASKS), len(specifications.HELD_OUT)) == (20, 10)
    assert len(set(specifications.ALL)) == 30
    for bands in specifications.ALL:
        edges = [edge for band in bands for edge in band]
        assert edges == sorted(edges)

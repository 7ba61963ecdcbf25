"""Measurements in three conditions: integrals over both clocks, and the goal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workers.bench.ilp import cli, conditions
from workers.bench.ilp.conditions import beyond, measure


def run(
    trace: list[tuple[float, float]], cpu: list[float], **more: Any
) -> dict[str, Any]:
    fields = {
        "trace": trace,
        "cpu_trace": cpu,
        "seconds": 10.0,
        "cpu_s": 10.0,
        "sense": "minimize",
        "reason": "feasible",
    }
    return fields | more


def test_integrals_over_both_clocks() -> None:
    ours = run([(2.0, 20.0), (6.0, 10.0)], [0.5, 1.5], cpu_s=2.0)
    theirs = run([(4.0, 10.0)], [2.0])
    nothing = run([], [])
    runs = {
        ("busy", "x", "trimtab"): [ours],
        ("busy", "x", "highs"): [theirs],
        ("busy", "x", "scip"): [nothing],
    }
    measure(runs, 10.0)
    assert ours["integral"] == pytest.approx(2.0 + 0.5 * 4.0)
    assert ours["integral_cpu"] == pytest.approx(0.5 + 0.5 * 1.0)
    assert theirs["integral"] == pytest.approx(4.0)
    assert nothing["integral"] == pytest.approx(10.0)
    assert ours["best_known"] == 10.0


def test_runs_of_several_files_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="one file"):
        measure({("alone", "x", "highs"): [], ("alone", "y", "highs"): []}, 10.0)


@pytest.mark.parametrize(
    ("ours", "theirs", "share", "over"),
    [
        (1.0, 1.0, 1.0, False),
        (1.59, 1.0, 1.0, False),
        (1.61, 1.0, 1.0, True),
        (3.5, 1.0, 5.0, False),  # half a second of processor time is 2.5 s here
        (3.7, 1.0, 5.0, True),
        (1.61, 1.0, 0.5, True),  # two busy threads make no second shorter
    ],
)
def test_the_goal(ours: float, theirs: float, share: float, over: bool) -> None:
    run_of_ours = {"integral": ours, "seconds": 10.0, "cpu_s": 1.0}
    run_of_theirs = {"integral": theirs, "seconds": 10.0, "cpu_s": 10.0 / share}
    assert (beyond([run_of_ours], [run_of_theirs]) > 0) is over


def test_a_pair_is_judged_by_its_mean() -> None:
    theirs = {"integral": 1.0, "seconds": 10.0, "cpu_s": 10.0}
    ours = [{"integral": 1.2}, {"integral": 1.4}]
    assert beyond(ours, [theirs]) < 0
    assert beyond([{"integral": 1.2}, {"integral": 2.2}], [theirs]) > 0


def test_a_run_prints_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        conditions, "BUSY_PROCESSES", 1
    )  # other tests run beside this one
    file, out = tmp_path / "tiny.lp", tmp_path / "out.jsonl"
    file.write_text(
        "Maximize\n o: 2 x + 3 y\nSubject To\n a: x + y <= 4\n b: x + 3 y <= 6\nGeneral\n x "
        "y\nEnd\n"
    )
    options = [
        "--real",
        "--condition",
        "pair",
        "busy",
        "--files",
        str(file),
        "--methods",
        "trimtab",
        "highs",
    ]
    assert cli.main([*options, "--seconds", "2", "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted((row["condition"], row["method"], row["seed"]) for row in rows) == [
        *(("busy", method, 0) for method in ("highs", "trimtab")),
        *(("pair", method, seed) for method in ("highs", "trimtab") for seed in (0, 1)),
    ]
    for row in rows:
        assert row["trace"][-1][1] == row["best_known"] == 9.0
        assert row["cpu_s"] > 0
        assert len(row["cpu_trace"]) == len(row["trace"])
    assert "beyond 1.1 x highs + 0.5 s of CPU time: none" in capsys.readouterr().out


def test_at_least_twenty_files_the_missed_ones_among_them() -> None:
    assert len(set(conditions.FILES)) >= 20
    assert {"pmp-iss-157", "bft", "cap6000", "10teams", "2050_3_7"} <= set(
        conditions.FILES
    )

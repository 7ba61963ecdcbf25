"""Runs of single arms and of the portfolio, and their comparison."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workers.bench.ilp import arms
from workers.bench.ilp.arms_report import against, cells_of, print_report
from workers.bench.lines import earlier_lines
from workers.corpus.integer_programs import generate


def row(method: str, instance: int, trace: list[tuple[float, float]]) -> dict[str, Any]:
    return {
        **{"family": "set-cover", "size": "S", "engine": "highs", "limit": 4.0},
        **{"method": method, "instance": instance, "seed": 0},
        **{"trace": trace, "objective": trace[-1][1]},
    }


ROWS = [
    row("random", 1, [(0.0, 20.0), (1.0, 10.0)]),  # gap ½ for one second
    row("portfolio", 1, [(0.0, 20.0), (2.0, 10.0)]),
    row("lb-relax", 1, [(0.0, 20.0)]),
    row("random", 2, [(0.0, 20.0), (2.0, 10.0)]),
    row("portfolio", 2, [(0.0, 20.0), (1.0, 8.0)]),
    row("lb-relax", 2, [(0.0, 20.0)]),
    row("random", 3, [(0.0, 20.0)]),  # the others did not run here
]


def test_best_known_is_the_best_end_of_all_methods() -> None:
    cells = cells_of(ROWS, "set-cover", "highs")
    assert cells["random"].gaps == pytest.approx((0.0, 0.2))
    assert cells["random"].integrals == pytest.approx((0.5, 2 * 0.6 + 2 * 0.2))
    assert cells["lb-relax"].integrals == pytest.approx((2.0, 4 * 0.6))


def test_portfolio_is_paired_with_its_best_single_arm() -> None:
    whole = against(cells_of(ROWS, "set-cover", "highs"))
    assert whole is not None
    assert (whole.gap_arm, whole.integral_arm) == ("random", "random")
    assert (whole.better_ends, whole.worse_ends) == (1, 0)
    assert whole.gap_difference == pytest.approx(-0.1)
    assert whole.integral_ratio[0] == pytest.approx(1.6 / 2.1)


def test_report_leaves_out_engines_that_did_not_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_report(ROWS)
    assert "set-cover, highs, 2 instances" in capsys.readouterr().out
    assert cells_of(ROWS, "set-cover", "scip") == {}


def test_a_root_lp_beside_comes_after_its_seconds() -> None:
    model = generate("set-cover", "1/5", 1)
    root = arms.Root.of(model)
    assert root is not None
    beside = arms.RootBeside(model, replace(root, seconds=0.05))
    assert beside.pending
    assert beside.take() is None
    until = time.process_time() + 0.06
    while time.process_time() < until:
        pass
    taken = beside.take()
    assert taken is not None
    assert taken[0].objective == root.solution.objective
    assert np.array_equal(np.asarray(taken[0].x), np.asarray(root.solution.x))


def test_runs_improve_one_start_and_resume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "arms.jsonl"
    command = ["--families", "vertex-cover", "--size", "1/5", "--instances", "1"]
    command += ["--first-seed", "501", "--seconds", "0.3", "--out", str(out)]
    methods = ["random", "cl-lns", "portfolio"]
    assert arms.main([*command, "--methods", "random"]) == 0
    assert arms.main([*command, "--methods", *methods]) == 0
    rows = earlier_lines(out)
    assert {(line["method"], line["engine"]) for line in rows} == {
        (method, engine) for method in methods for engine in ("highs", "scip")
    }
    assert len(rows) == 6  # what was there was not run again
    assert len({line["trace"][0][1] for line in rows}) == 1
    assert all(line["objective"] <= line["trace"][0][1] for line in rows)
    assert all(line["used_s"] < 3.0 for line in rows)
    assert json.loads(out.read_text().splitlines()[0])["arms"]["random"]["calls"] > 0
    assert "vertex-cover, scip, 1 instances" in capsys.readouterr().out

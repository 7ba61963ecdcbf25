"""Metrics against values worked out by hand; generators against their recipes."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from search.drawing.curves import step_curves
from solvers.highs import HighsSolver
from solvers.read import read_model
from solvers.types import SolveParams
from trimtab.results import Reason
from workers.bench.ilp import metrics, report
from workers.bench.ilp.methods import run_one
from workers.corpus import integer_programs


def test_gap_and_integral() -> None:
    trace = [(1.0, 200.0), (3.0, 125.0), (6.0, 100.0)]
    assert metrics.gap_at(trace, 100.0, 0.5) == 1.0
    assert metrics.gap_at(trace, 100.0, 2.0) == 0.5
    assert metrics.gap_at(trace, 100.0, 4.0) == pytest.approx(0.2)
    # 1 s without a solution, 2 s at 0.5, 3 s at 0.2, then none.
    assert metrics.integral(trace, 100.0, 10.0) == pytest.approx(1 + 2 * 0.5 + 3 * 0.2)
    assert metrics.integral([], None, 10.0) == 10.0


def test_rates() -> None:
    assert metrics.survival_rate([0.0, 0.01, 0.5, 1.0], 0.01) == 0.5
    rates = metrics.best_performing_rate({"a": [0.0, 0.2, 0.1], "b": [0.0, 0.1, 0.3]})
    assert rates == {"a": pytest.approx(2 / 3), "b": pytest.approx(2 / 3)}
    assert [metrics.compared(1.0, b) for b in (1.0 + 1e-9, 2.0, 0.5)] == [0, -1, 1]
    assert metrics.geometric_mean([0.0, 3.0], shift=1.0) == pytest.approx(1.0)


@pytest.mark.parametrize("family", list(integer_programs.FAMILIES))
def test_families_are_seeded_and_survive_the_file(family: str, tmp_path: Path) -> None:
    model = integer_programs.generate(family, "1/5", 3)
    again = integer_programs.generate(family, "1/5", 3)
    assert (model.c == again.c).all()
    assert (model.indices == again.indices).all()
    assert (
        model.nnz != integer_programs.generate(family, "1/5", 4).nnz
        or not (model.c == integer_programs.generate(family, "1/5", 4).c).all()
    )
    file = tmp_path / "m.mps"
    integer_programs.write_mps(model, file)
    read = read_model(file)
    assert read.maximize == model.maximize
    np.testing.assert_allclose(read.c, model.c)
    assert (read.matrix != model.matrix).nnz == 0
    np.testing.assert_array_equal(read.row_lower, model.row_lower)
    np.testing.assert_array_equal(read.row_upper, model.row_upper)


def test_sizes_are_those_of_the_papers() -> None:
    assert integer_programs.generate("set-cover", "S", 0).nnz == 1_000_000
    cover = integer_programs.generate("vertex-cover", "S", 0)
    assert (cover.n, cover.m) == (1_000, 70 * (1_000 - 70))
    independent = integer_programs.generate("independent-set", "S", 0)
    assert independent.n == 6_000
    assert independent.m == pytest.approx(24_000, rel=0.03)
    bids = integer_programs.generate("auction", "1/5", 0)
    assert bids.n == 800
    assert (np.bincount(bids.row_of_entry) >= 1).all()


@pytest.mark.parametrize(
    "method",
    ["trimtab-without-learned", "highs", "scip-aggressive", "or-tools-set-cover"],
)
def test_a_method_runs_in_a_process_of_its_own(method: str, tmp_path: Path) -> None:
    file = tmp_path / "cover.mps"
    model = integer_programs.set_cover(300, 200, seed=5)
    integer_programs.write_mps(model, file)
    command = [
        sys.executable,
        "-m",
        "workers.bench.ilp.methods",
        method,
        str(file),
        "2",
        "0",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    run = json.loads(done.stdout.splitlines()[-1])
    objectives = [objective for _, objective in run["trace"]]
    assert objectives
    assert all(later <= earlier for earlier, later in pairwise(objectives))
    assert min(model.c) <= objectives[-1] <= model.c.sum()
    assert run["reason"] in ("feasible", "optimal")


def test_curves_are_drawn() -> None:
    svg = step_curves({"a <b>": [(0, 3.0), (2, 1.0)], "none": []}, until=4.0, title="t")
    assert "a &lt;b&gt;" in svg
    assert svg.count("<polyline") == 1


def test_or_tools_set_cover_reports_only_covers(tmp_path: Path) -> None:
    """Guided local search visits partial covers.

    Their cost was once below the proved optimum.
    """
    file = tmp_path / "cover.mps"
    model = integer_programs.set_cover(300, 200, seed=6)
    integer_programs.write_mps(model, file)
    optimum = HighsSolver().solve(
        model, SolveParams(time_limit_s=60.0, relative_gap=1e-9)
    )
    assert optimum.termination.reason is Reason.OPTIMAL
    run = run_one("or-tools-set-cover", file, 1.0, 0)
    assert run["trace"]
    assert min(objective for _, objective in run["trace"]) >= optimum.primal - 1e-6


def test_time_outside_solvers_leaves_the_one_swap_search_out() -> None:
    arms = {
        "random": {"seconds": 6.0},
        "lb-relax": {"seconds": 2.0},
        "one-swap": {"seconds": 5.0},
    }
    runs = [
        {"summary": {"lns_arms": arms, "lns_solver_seconds": 7.0}, "peak_bytes": 4e8},
        {"peak_bytes": 3e8},
    ]
    assert report.costs(runs) == "  memory 0.40 GB  outside solvers 12.5%"
    assert report.costs([{"trace": []}]) == ""

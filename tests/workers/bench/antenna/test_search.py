"""Summaries of the search bench."""

from __future__ import annotations

import numpy as np
import pytest

from workers.bench.antenna.search import _summaries, interval
from workers.bench.antenna.specifications import Effort

EFFORT = Effort(coarse=1000, fine=100, seconds=60.0, verify_runs=3)


def test_runs_of_one_specification_are_drawn_together() -> None:
    met = [1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0]
    alone = interval(met, np.sum)
    together = interval(met, np.sum, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
    assert together[1] - together[0] > 1.3 * (alone[1] - alone[0])
    assert interval(met, np.mean, range(12)) == pytest.approx(interval(met, np.mean))


def test_a_failure_counts_as_one_solve_more_than_the_limit() -> None:
    lines = [
        {
            "task": task,
            "run_seed": seed,
            "held_out": False,
            "verdict": verdict,
            "fine_solves": 8,
            "margin_db": 1.0,
            "cpu_s": 2.0,
        }
        for task, verdict in enumerate(("pass", "shifted pass", "fail"))
        for seed in (0, 1)
    ]
    (summary,) = _summaries("funnel", lines, EFFORT)
    assert (summary["runs"], summary["seeds"]) == (6, 2)
    assert (summary["exact"], summary["within_2_percent"]) == (2, 4)
    assert summary["median_fine_solves"] == 8
    assert summary["median_fine_solves_interval"][1] == 101

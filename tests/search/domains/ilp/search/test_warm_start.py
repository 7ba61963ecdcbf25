"""Warm start: used, completed, repaired or dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.domains.ilp.search.warm_start import WarmStart, prepare, summary_after
from solvers.feasibility import is_feasible
from tests.search.models import milp, random_cover

NAN = float("nan")
# x0 + x1 >= 1, x1 + x2 <= 1
MODEL = milp([1, 2, 3], [(1, [1, 1, 0], np.inf), (-np.inf, [0, 1, 1], 1)])


@pytest.mark.parametrize(
    ("values", "outcome", "detail"),
    [
        ([1, 0, 1], "used as it is", ""),
        ([1, NAN, NAN], "completed", "2 missing values are 0 or a bound"),
        ([2, 0, 0], "repaired", "a value is out of bounds: "),
        ([0.5, 0, 0], "repaired", "fractional value"),
        ([0, 0, 0], "repaired", "row"),
        ([0, NAN, NAN], "completed", "the other variables were solved for"),
    ],
)
def test_outcomes(values: list[float], outcome: str, detail: str, tmp_path: Path) -> None:
    start = prepare(MODEL, np.array(values, dtype=float), tmp_path, left_s=20.0)
    assert start.x is not None
    assert is_feasible(MODEL, start.x)
    assert start.summary["outcome"] == outcome
    assert detail in start.summary["detail"]
    assert start.summary["objective"] == MODEL.objective(start.x)


def test_a_start_of_an_infeasible_model_is_dropped(tmp_path: Path) -> None:
    infeasible = milp([1, 1], [(3, [1, 1], np.inf)])
    start = prepare(infeasible, np.ones(2), tmp_path, left_s=20.0)
    assert start.x is None
    assert start.summary["outcome"] == "dropped"
    assert "no repair was found" in start.summary["detail"]


def test_the_search_may_repair_a_dropped_start() -> None:
    dropped = WarmStart(x=None, summary={"outcome": "dropped", "detail": "a row"})
    later = {"lns_started_by": "warm-start-repaired", "lns_started_from": 5.0}
    assert summary_after(dropped, later)["outcome"] == "repaired"
    assert summary_after(dropped, later)["objective"] == 5.0
    assert summary_after(dropped, {"lns_started_by": "engine"}) == dropped.summary
    used = WarmStart(x=random_cover(3, 4, 1).c, summary={"outcome": "used as it is"})
    assert summary_after(used, later) == used.summary

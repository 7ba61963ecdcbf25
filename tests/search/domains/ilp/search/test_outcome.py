"""Termination and summary that a state supports."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest

from search.domains.ilp.search.messages import EngineEnded, SearchStarted, Statistics
from search.domains.ilp.search.outcome import outcome_of, termination_of
from search.domains.ilp.search.state import RunState
from search.stop import from_budget
from tests.search.models import random_cover
from trimtab.results import Limit, Reason


def stop() -> Any:
    return from_budget({"seconds": 60.0}, threading.Event())


def solved(**more: Any) -> RunState:
    return RunState(**{"objective": 5.0, "x": np.ones(2), "source": "highs", **more})


@pytest.mark.parametrize(
    ("state", "reason", "limit"),
    [
        (solved(bound=5.0), Reason.OPTIMAL, None),
        (solved(bound=1.0), Reason.FEASIBLE, Limit.TIME),
        (RunState(), Reason.NO_SOLUTION_FOUND, Limit.TIME),
        (RunState(engine_end=EngineEnded(reason="infeasible")), Reason.INFEASIBLE, None),
        (RunState(engine_end=EngineEnded(reason="unbounded")), Reason.UNBOUNDED, None),
        (
            RunState(engine_end=EngineEnded(reason="crashed")),
            Reason.NUMERICAL_ERROR,
            None,
        ),
        (
            solved(engine_end=EngineEnded(reason="infeasible")),
            Reason.FEASIBLE,
            Limit.OTHER,
        ),
        (
            solved(engine_end=EngineEnded(reason="feasible", limit="other")),
            Reason.FEASIBLE,
            Limit.OTHER,
        ),
    ],
)
def test_reasons(state: RunState, reason: Reason, limit: Limit | None) -> None:
    termination = termination_of(state, stop(), "highs")
    assert (termination.reason, termination.limit) == (reason, limit)
    assert termination.detail


def test_a_bound_that_excludes_the_solution_is_dropped() -> None:
    state = solved(bound=9.0, bound_by="the root LP's bound")
    assert termination_of(state, stop(), "highs").reason is Reason.FEASIBLE
    assert state.bound == -math.inf
    assert "the root LP's bound" in state.notes[0]


def test_the_summary_holds_the_reports_of_the_processes() -> None:
    model = random_cover(4, 6, 1)
    state = solved(
        x=np.ones(6),
        bound=1.0,
        lns_start=SearchStarted(objective=9.0, heuristic="construction"),
        lns_statistics=Statistics(arms={"cl-lns": {"calls": 2}}, solver_seconds=0.25),
        lns_iterations=7,
    )
    outcome = outcome_of(model, state, stop(), "highs", with_lns=True)
    assert outcome.summary["lns_started_from"] == 9.0
    assert outcome.summary["lns_started_by"] == "construction"
    assert outcome.summary["lns_arms"] == {"cl-lns": {"calls": 2}}
    assert outcome.summary["lns_iterations"] == 7
    assert set(outcome.weights) == {"cl-lns"}, "the arm's weights are named"
    assert outcome.objective == 5.0


def test_an_infeasible_subset_is_reported_with_the_claim_alone() -> None:
    model = random_cover(4, 6, 1)
    end = EngineEnded(reason="infeasible", infeasible_rows=["a"], infeasible_columns=[])
    outcome = outcome_of(model, RunState(engine_end=end), stop(), "highs", with_lns=False)
    assert outcome.summary["infeasible_subset"] == {"rows": ["a"], "columns": []}
    state = solved(x=np.ones(6), engine_end=end)
    outcome = outcome_of(model, state, stop(), "highs", with_lns=False)
    assert "infeasible_subset" not in outcome.summary

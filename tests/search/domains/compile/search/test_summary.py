"""Summary and termination: the limit that ended a search, and the result in one line."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from search.domains.compile.answer import Quarantined
from search.domains.compile.search.state import SearchState, Trials
from search.domains.compile.search.summary import summary_of, termination_of
from search.stop import from_budget
from solvers.llvm.pairs import Timing
from solvers.llvm.types import Measured, Metric, Outcome, Recipe, Target
from tests.search.domains.compile.test_answer import solution
from trimtab.results import Limit, Reason
from trimtab.specs.compile import CompileSpec


def state(*, timed: bool = False, **budget: Any) -> SearchState:
    problem = SimpleNamespace(
        metric=Metric.LOADABLE_BYTES,
        timed=timed,
        machine=Target(cpu="x86-64"),
        sources=("a.c",),
        spec=CompileSpec(source_text="int x;"),
    )
    prepared = SimpleNamespace(
        installed=SimpleNamespace(build_id="llvm-22"),
        engine=SimpleNamespace(info=SimpleNamespace(ir_instructions=9)),
    )
    return SearchState(
        problem=cast("Any", problem),
        prepared=cast("Any", prepared),
        oracle=cast("Any", None),
        incumbents=cast("Any", None),
        stop=from_budget({"seconds": 100.0} | budget, threading.Event()),
        rng=np.random.default_rng(0),
    )


def test_a_search_that_ends_by_itself_is_complete() -> None:
    ended = termination_of(state(), solution())
    assert (ended.reason, ended.limit) == (Reason.COMPLETED, None)
    assert ended.detail == "90 loadable bytes, -25.00 % against -Oz"


def test_the_reserve_counts_as_the_limit_of_time() -> None:
    search = state()
    search.reserve_s = 1000.0
    unvalidated = replace(solution(), why_unvalidated="it has no `main`")
    ended = termination_of(search, unvalidated)
    assert (ended.reason, ended.limit) == (Reason.FEASIBLE, Limit.TIME)
    assert ended.detail.endswith("; unvalidated: it has no `main`")


def test_an_objective_of_time_reports_the_timing() -> None:
    timing = Timing(ratio=0.9, low=0.8, high=0.95, pairs=15, ours_s=0.9, baseline_s=1.0)
    search = state(timed=True)
    faster = replace(solution(), timing=timing)
    assert termination_of(search, faster).detail == timing.sentence()
    assert (
        "no pipeline was measurably faster" in termination_of(search, solution()).detail
    )
    assert summary_of(search, faster, Trials(), [], 1.0)["time"] == timing.sentence()


def test_the_summary_counts_trials_and_shows_quarantine() -> None:
    recipe = Recipe(pipeline="p")
    crashed = Measured(recipe=recipe, outcome=Outcome.CRASHED, seconds=0.0)
    bad = Quarantined(
        build_id="llvm", name="x", recipe=recipe, objective=80.0, why="stdout"
    )
    answer = replace(solution(), quarantined=[bad] * 50)
    trials = Trials(table=(("a", crashed), ("b", crashed)))
    summary = summary_of(state(), answer, trials, ["a note"], 1.5)
    assert (summary["pipelines_tried"], summary["outcomes"]) == (2, {"crashed": 2})
    assert summary["saved"] == 0.25
    assert summary["quarantined"][0]["first_bad_pass"] is None
    assert len(summary["quarantined"]) == 40
    assert (summary["notes"], summary["search_s"]) == (["a note"], 1.5)
    assert "time" not in summary

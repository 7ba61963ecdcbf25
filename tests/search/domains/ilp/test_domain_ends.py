"""Kind `ilp`: limits, stops, and crashes of every process of a run."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search import isolation, pipeline
from search.domains.ilp import build
from search.stop import from_budget
from search.types import InvalidInput
from tests.search.domains.ilp.jobs import KNAPSACK, hard, inline, segfault, solve
from trimtab.results import Limit, Reason, VerificationStatus


def test_a_crashed_engine_does_not_lose_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.domains.ilp.search import supervisor

    monkeypatch.setattr(supervisor, "run_engine", lambda *a, **k: lambda say: segfault())
    spec, inputs = hard(tmp_path)
    result = solve(spec, tmp_path, seconds=4.0, inputs=inputs)
    assert result.termination.reason is Reason.FEASIBLE
    assert result.verification.status is VerificationStatus.VALID
    assert any("SIGSEGV" in note for note in result.summary["notes"])
    assert result.bound is None or result.bound <= result.objective, (
        "the root LP's is all that is left"
    )


def test_a_crashed_search_is_noted_and_the_engine_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.domains.ilp.search import supervisor

    monkeypatch.setattr(supervisor, "run_lns", lambda *a, **k: lambda say: segfault())
    spec, inputs = hard(tmp_path)
    for seconds in (
        4.0,
        30.0,
    ):  # on a busy machine the jump may be all that has an answer after 4 s
        result = solve(spec, tmp_path, seconds=seconds, inputs=inputs)
        if result.summary["best_found_by"] == "highs":
            break
    assert result.verification.status is VerificationStatus.VALID
    assert result.summary["best_found_by"] == "highs"
    assert sum("SIGSEGV" in note for note in result.summary["notes"]) == 1


def test_a_crashing_parser_is_a_native_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import solvers.read

    monkeypatch.setattr(solvers.read, "read_with_notes", lambda *a, **k: segfault())
    with pytest.raises(isolation.NativeCrash, match="SIGSEGV"):
        solve(inline(KNAPSACK), tmp_path)


def test_a_crash_of_highs_reader_leaves_the_exact_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import solvers.read

    monkeypatch.setattr(solvers.read, "read_with_highs", lambda *a, **k: segfault())
    result = solve(inline(KNAPSACK), tmp_path)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.objective == 13
    assert any("exact reading" in str(note) for note in result.summary["notes"])


def test_two_readings_that_differ_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.domains.ilp.verify import process

    refuse = process.refuse_differences
    monkeypatch.setattr(
        process,
        "refuse_differences",
        lambda exact, model: refuse(exact, replace(model, c=model.c + 1.0)),
    )
    with pytest.raises(InvalidInput, match="differently"):
        solve(inline(KNAPSACK), tmp_path)


def test_time_limit_keeps_the_best(tmp_path: Path) -> None:
    spec, inputs = hard(tmp_path)
    began = time.monotonic()
    result = solve(spec, tmp_path, seconds=3.0, inputs=inputs)
    assert time.monotonic() - began < 8
    assert result.termination.reason is Reason.FEASIBLE
    assert result.termination.limit is Limit.TIME
    assert result.verification.status is VerificationStatus.VALID
    assert result.bound is not None
    assert result.objective is not None
    assert result.bound <= result.objective
    assert 0 < result.primal_integral < 3.5


def test_target_gap_ends_early(tmp_path: Path) -> None:
    spec, inputs = hard(tmp_path)
    result = solve(spec, tmp_path, seconds=30.0, inputs=inputs, target_gap=0.5)
    assert result.termination.limit is Limit.TARGET_GAP
    assert result.gap is not None
    assert result.gap <= 0.5


def test_evaluations_count_sub_mips(tmp_path: Path) -> None:
    spec, inputs = hard(tmp_path)
    result = solve(spec, tmp_path, seconds=30.0, inputs=inputs, evaluations=3)
    assert result.termination.limit is Limit.EVALUATIONS
    assert result.summary["lns_iterations"] >= 3


def test_a_stop_takes_effect_at_once(tmp_path: Path) -> None:
    spec, inputs = hard(tmp_path)
    event = threading.Event()
    stopped_at: list[float] = []

    def on_incumbent(point: Any) -> None:
        if point.objective is not None and not event.is_set():
            event.set()
            stopped_at.append(time.monotonic())

    result = pipeline.run(
        build(),
        spec,
        inputs=inputs,
        workdir=tmp_path,
        stop=from_budget({"seconds": 60.0}, event),
        seed=1,
        callbacks=pipeline.Callbacks(on_incumbent=on_incumbent),
    ).result
    assert time.monotonic() - stopped_at[0] < 2.0
    assert result.termination.limit is Limit.STOPPED
    assert result.verification.status is VerificationStatus.VALID

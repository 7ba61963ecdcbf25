"""Kind `ilp`: limits, stops, and crashes of every process of a run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from search import isolation
from search.domains.ilp.search import core_sharing
from search.types import InvalidInput
from tests.search.domains.ilp.jobs import KNAPSACK, hard, inline, segfault, solve
from tests.solvers.llvm.processes import alive
from tests.waiting import eventually, sooner_than
from trimtab.results import Incumbent, Limit, Reason, VerificationStatus
from trimtab.specs.ilp import LnsOptions


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
    assert result.bound is not None
    assert result.objective is not None
    assert 0 <= result.bound <= result.objective, "the root LP's or the columns'"


def test_a_crashed_search_is_noted_and_the_engine_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.domains.ilp.search import supervisor

    mark = tmp_path / "pid"

    def crash(_say: object) -> None:
        mark.write_text(f"{os.getpid()}")
        segfault()

    def crashed() -> bool:
        pid = mark.read_text() if mark.is_file() else ""
        return bool(pid) and not alive(int(pid))

    def found_beside(point: Incumbent) -> bool:
        if point.source == "highs":
            eventually(crashed)
        return point.source == "highs"

    monkeypatch.setattr(supervisor, "run_lns", lambda *a, **k: crash)
    spec, inputs = hard(tmp_path, 500, 400)
    result = solve(spec, tmp_path, seconds=120.0, inputs=inputs, until=found_beside)
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
    with sooner_than(60):
        result = solve(spec, tmp_path, seconds=3.0, inputs=inputs)
    assert result.termination.reason is Reason.FEASIBLE
    assert result.termination.limit is Limit.TIME
    assert result.verification.status is VerificationStatus.VALID
    assert result.bound is not None
    assert result.objective is not None
    assert result.bound <= result.objective
    assert 0 < result.primal_integral < sum(result.timings_s.values())


def test_target_gap_ends_early(tmp_path: Path) -> None:
    spec, inputs = hard(tmp_path)
    result = solve(spec, tmp_path, seconds=30.0, inputs=inputs, target_gap=0.5)
    assert result.termination.limit is Limit.TARGET_GAP
    assert result.gap is not None
    assert result.gap <= 0.5


def test_evaluations_count_sub_mips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine helpers have a tenth of the engine's time: the three would take it seconds.
    monkeypatch.setattr(core_sharing, "is_crowded", lambda *state, **cores: False)
    monkeypatch.setattr(core_sharing, "others_run", lambda *state, **cores: False)
    spec, inputs = hard(tmp_path, 500, 400)
    spec = spec.model_copy(update={"lns": LnsOptions(sub_mip_seconds=0.5)})
    result = solve(spec, tmp_path, seconds=120.0, inputs=inputs, evaluations=3)
    assert result.termination.limit is Limit.EVALUATIONS
    assert result.summary["lns_iterations"] >= 3


def test_a_stop_takes_effect_at_once(tmp_path: Path) -> None:
    spec, inputs = hard(tmp_path)
    with sooner_than(60):
        result = solve(
            spec,
            tmp_path,
            seconds=60.0,
            inputs=inputs,
            until=lambda point: point.objective is not None,
        )
    assert result.termination.limit is Limit.STOPPED
    assert result.verification.status is VerificationStatus.VALID

"""Finishing a run whose process died."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.checkpoint import BadCheckpoint, Checkpoint, pack
from search.domains.probe import ProbeDomain
from search.finish import CannotFinish, DeadRun, finish
from search.types import SearchOutcome
from trimtab.results import Limit, Reason, Termination, VerificationStatus
from trimtab.specs.probe import ProbeSpec

KILLED = Termination(
    reason=Reason.WORKER_LOST, limit=Limit.MEMORY, detail="killed in a test"
)


def finished(tmp_path: Path, data: bytes | None, domain: Any = None) -> Any:
    return finish(
        domain or ProbeDomain(),
        ProbeSpec(steps=5),
        inputs={},
        workdir=tmp_path,
        seed=1,
        dead=DeadRun(termination=KILLED, checkpoint=data, budget_s=10.0),
    ).result


def checkpoint(solution: bytes, **more: Any) -> bytes:
    return pack(Checkpoint(kind="probe", solution=solution, **more))


class WithBaseline(ProbeDomain):
    def baseline(self, problem: ProbeSpec) -> SearchOutcome:
        return self.restore(problem, b"4")


def test_the_checkpoint_becomes_a_verified_result(tmp_path: Path) -> None:
    data = checkpoint(
        b"2",
        bound=0.5,
        trace=[(0.5, 3.0, None, "a"), (1.5, 2.0, 0.5, "b")],
        timings_s={"parse": 9},
    )
    result = finished(tmp_path, data)
    assert (result.objective, result.bound) == (2.0, 0.5)
    assert result.verification.status is VerificationStatus.VALID
    assert (result.termination.reason, result.termination.limit) == (
        Reason.FEASIBLE,
        Limit.MEMORY,
    )
    note = "the run ended early: killed in a test; the result is the best solution it had reported"
    assert result.termination.detail.startswith(note)
    assert result.summary["notes"] == [result.termination.detail]
    assert [point.source for point in result.trace] == ["a", "b"]
    assert result.timings_s.keys() >= {"parse", "verify", "produce"}
    assert result.primal_integral == pytest.approx(0.5 * 1 + 1.0 * (3 - 2) / 3)


def test_without_a_checkpoint_the_baseline_is_the_result(tmp_path: Path) -> None:
    result = finished(tmp_path, None, WithBaseline())
    assert result.objective == 4.0
    assert "the baseline" in result.termination.detail
    with pytest.raises(CannotFinish, match="no solution to finish"):
        finished(tmp_path, None)


def test_a_solution_that_the_check_refuses_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(CannotFinish, match="refused"):
        finished(tmp_path, checkpoint(b"99"))


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint):
        finished(tmp_path, b"damaged")

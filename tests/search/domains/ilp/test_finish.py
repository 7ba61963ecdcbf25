"""A run whose process died keeps what it had proved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.checkpoint import Checkpoint, pack
from search.domains.ilp import build
from search.domains.ilp.solution import to_bytes
from search.finish import DeadRun, finish
from tests.search.domains.ilp.jobs import KNAPSACK
from trimtab.results import Limit, Reason, RunResult, Termination, VerificationStatus
from trimtab.specs.ilp import IlpSpec

KILLED = Termination(
    reason=Reason.RESOURCE_EXHAUSTED, limit=Limit.TIME, detail="killed in a test"
)
OPTIMUM = np.array([2.0, 0.0, 1.0])  # value 13


def finished(tmp_path: Path, bound: float | None) -> RunResult:
    data = pack(Checkpoint(kind="ilp", solution=to_bytes(OPTIMUM), bound=bound))
    return finish(
        build(),
        IlpSpec(model_text=KNAPSACK),
        inputs={},
        workdir=tmp_path,
        seed=0,
        dead=DeadRun(termination=KILLED, checkpoint=data, budget_s=30.0),
    ).result


def test_a_bound_that_meets_the_solution_is_its_proof(tmp_path: Path) -> None:
    result = finished(tmp_path, 13.0 - 1e-6)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.termination.limit is None
    assert "killed in a test" in result.termination.detail
    assert (result.objective, result.bound, result.gap) == (13.0, 13.0, 0.0)
    assert result.verification.status is VerificationStatus.VALID


@pytest.mark.parametrize(
    ("bound", "held"),
    [(13.001, 13.001), (12.0, None), (None, None)],
    ids=["apart", "contradicts", "none"],
)
def test_another_bound_proves_nothing(
    bound: float | None, held: float | None, tmp_path: Path
) -> None:
    result = finished(tmp_path, bound)
    assert (result.termination.reason, result.termination.limit) == (
        Reason.FEASIBLE,
        Limit.TIME,
    )
    assert (result.objective, result.bound) == (13.0, held)

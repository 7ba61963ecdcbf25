"""Every kind, killed in every phase after a report: its best solution is the verified result."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from search.kinds import KINDS
from trimtab.results import Limit, Reason, Termination
from workers.process.finishing import finishing_task
from workers.process.pool import ProcessExecutor
from workers.types import Outcome, OutcomeStatus, Task, TaskLimits

pytestmark = pytest.mark.chaos

COVER = """\
Minimize
 cost: 3 a + 2 b + 4 c + 3 d
Subject To
 r1: a + b >= 1
 r2: b + c >= 1
 r3: c + d >= 1
 r4: a + d >= 1
Binary
 a b c d
End
"""
PROGRAM = """\
#include <stdio.h>
static int twice(int x) { return x + x; }
int main(int n, char **v) {
  int s = 0;
  for (int i = 0; i < 20; i++) s += twice(i) * n;
  printf("%d\\n", s);
  return 0;
}
"""
SPECS: dict[str, dict[str, Any]] = {
    "probe": {"steps": 3, "step_seconds": 0.05},
    "ilp": {"model_text": COVER, "format": "lp"},
    "sharding": {
        "tables": [
            {"name": f"t{i}", "rows": 1000 * (i + 1), "dim": 64} for i in range(8)
        ],
        "devices": [{"count": 2, "memory_gib": 4}],
        "proof_seconds": 0.2,
    },
    "compile": {"source_text": PROGRAM, "language": "c"},
}


def task(kind: str, phase: str, **more: Any) -> Task:
    row = KINDS[kind]
    return Task(
        job_id="job",
        fence=1,
        kind=kind,
        builder=f"tests.chaos.dying:{kind}_{phase}",
        spec_class=row.spec_class,
        spec=row.spec.model_validate(SPECS[kind], strict=False).model_dump(mode="json"),
        seed=0,
        # Without it a compilation takes all its seconds.
        budget={"seconds": 20.0, **({"evaluations": 3} if kind == "compile" else {})},
        limits=TaskLimits(),
        baseline=row.baseline,
        **more,
    )


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def executor(
    runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProcessExecutor]:
    made = ProcessExecutor(
        workers=1, scratch_dir=tmp_path_factory.mktemp("runs"), sandbox="auto"
    )
    runner.run(made.open())
    yield made
    runner.run(made.close())


async def end(executor: ProcessExecutor, what: Task) -> tuple[Outcome, bytes | None]:
    execution = await executor.start(what)
    try:
        outcome = await execution.result()
        assert all(file.path.stat().st_size > 0 for file in outcome.produced)
        return outcome, await execution.checkpoint()
    finally:
        await execution.close()


@pytest.mark.parametrize("phase", ["search", "verify", "produce"])
@pytest.mark.parametrize("kind", list(SPECS))
def test_killed_run_leaves_its_best(
    executor: ProcessExecutor, runner: asyncio.Runner, kind: str, phase: str
) -> None:
    outcome, _ = runner.run(end(executor, task(kind, phase)))
    assert outcome.status is OutcomeStatus.RESULT, outcome.termination
    ends = {(Reason.FEASIBLE, Limit.OTHER)}
    if kind == "ilp":
        ends |= {(Reason.OPTIMAL, None)}  # a proof outlives the run that made it
    assert (outcome.termination.reason, outcome.termination.limit) in ends
    assert f"SIGKILL in phase {phase}" in outcome.termination.detail
    assert outcome.result is not None
    assert outcome.result["verification"]["status"] == "valid"
    assert outcome.result["objective"] is not None
    assert outcome.produced


@pytest.mark.parametrize("kind", list(SPECS))
def test_next_attempt_starts_where_the_killed_one_was(
    executor: ProcessExecutor, runner: asyncio.Runner, kind: str
) -> None:
    first, data = runner.run(end(executor, task(kind, "search")))
    assert data is not None
    assert first.result is not None
    second, _ = runner.run(end(executor, task(kind, "never", start=data)))
    assert second.status is OutcomeStatus.RESULT
    assert second.result is not None
    assert second.result["objective"] <= first.result["objective"]
    assert second.result["trace"][0]["source"] == "an earlier attempt"
    assert "earlier attempt" in second.result["summary"]["started_from"]


def test_kind_with_a_baseline_has_an_answer_before_its_first_incumbent(
    executor: ProcessExecutor, runner: asyncio.Runner
) -> None:
    """Retried if lost in encode through no fault of its own; over its budget, -Oz is the answer."""
    lost, _ = runner.run(end(executor, task("compile", "encode")))
    assert lost.status is OutcomeStatus.LOST
    ended = Termination(
        reason=Reason.RESOURCE_EXHAUSTED,
        limit=Limit.TIME,
        detail="killed in phase encode",
    )
    over = Outcome(status=OutcomeStatus.FAILED, termination=ended)
    finishing = finishing_task(
        task("compile", "never"), over, None, phase="encode", stopped=False
    )
    assert finishing is not None
    outcome, _ = runner.run(end(executor, finishing))
    assert outcome.status is OutcomeStatus.RESULT, outcome.termination
    assert (outcome.termination.reason, outcome.termination.limit) == (
        Reason.FEASIBLE,
        Limit.TIME,
    )
    assert outcome.result is not None
    assert outcome.result["summary"]["found_by"] == "Oz"
    assert "the result is the baseline" in outcome.termination.detail
    assert (
        finishing_task(task("ilp", "never"), over, None, phase="encode", stopped=False)
        is None
    )

"""A budget that runs out in any phase leaves a checked result: the best so far, or -Oz."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from search.kinds import KINDS
from trimtab.results import Limit, Reason
from workers.process.pool import ProcessExecutor
from workers.types import Outcome, OutcomeStatus, Task, TaskLimits

PROGRAM = """\
#include <stdio.h>
int main(int argc, char **argv) {
  int s = 0;
  for (int i = 0; i < 50; i++) s += i * argc;
  printf("%d\\n", s);
  return 0;
}
"""


def run(tmp_path: Path, builder: str, spec: dict[str, Any]) -> Outcome:
    row = KINDS["compile"]
    task = Task(
        job_id="job",
        fence=1,
        kind="compile",
        builder=f"tests.cases.compile.endless:{builder}",
        spec_class=row.spec_class,
        spec=row.spec.model_validate(spec, strict=False).model_dump(mode="json"),
        seed=0,
        budget={"seconds": 8.0},
        limits=TaskLimits(grace_s=0.1),
        baseline=row.baseline,
    )

    async def go() -> Outcome:
        executor = ProcessExecutor(workers=1, scratch_dir=tmp_path, sandbox="auto")
        await executor.open()
        try:
            execution = await executor.start(task)
            try:
                return await execution.result()
            finally:
                await execution.close()
        finally:
            await executor.close()

    return asyncio.run(go())


@pytest.mark.parametrize("phase", ["encode", "search", "verify"])
@pytest.mark.parametrize("metric", ["loadable_bytes", "ir_instructions"])
def test_killed_in_a_phase_that_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str, metric: str
) -> None:
    monkeypatch.setattr("workers.process.execution.OVERTIME_S", 1.0)
    outcome = run(
        tmp_path, phase, {"source_text": PROGRAM, "language": "c", "objective": metric}
    )
    assert outcome.status is OutcomeStatus.RESULT, outcome.termination
    assert (outcome.termination.reason, outcome.termination.limit) == (
        Reason.FEASIBLE,
        Limit.TIME,
    )
    assert f"killed in phase {phase}" in outcome.termination.detail
    assert outcome.result is not None
    assert outcome.result["verification"]["status"] == "valid"
    assert outcome.result["objective"] <= outcome.result["summary"]["oz"], "-Oz at least"
    assert {"optimised.o", "optimised.bc", "recipe.json"} <= {
        file.name for file in outcome.produced
    }

"""Round trip of tasks and outcomes through JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from trimtab.results import Limit, Reason, Termination
from workers.types import Finish, Outcome, OutcomeStatus, ProducedFile, Task, TaskLimits
from workers.wire import outcome_from_json, outcome_to_json, task_from_json, task_to_json

ENDED = Termination(
    reason=Reason.WORKER_LOST, limit=Limit.ATTEMPTS, detail="node went away"
)
TASK = Task(
    job_id="j1",
    fence=3,
    kind="ilp",
    builder="search.domains.ilp:build",
    spec_class="trimtab.specs.ilp:IlpSpec",
    spec={"model_text": "min"},
    seed=7,
    budget={"seconds": 2.5},
    inputs={"model": Path("/blobs/a")},
    input_names={"model": "a.mps"},
    limits=TaskLimits(memory_bytes=1, cpu_s=2, finish_s=3.0),
    baseline=True,
    start=b"\x00\xff checkpoint",
    needs=("text_model",),
    finish=Finish(ended=ENDED, decorate=False),
)


@pytest.mark.parametrize(
    "task", [TASK, dataclasses.replace(TASK, start=None, finish=None, needs=())]
)
def test_task_comes_back_equal_through_json(task: Task) -> None:
    body = json.loads(json.dumps(task_to_json(task)))
    assert set(body) == {field.name for field in dataclasses.fields(Task)}
    moved = {"model": Path("/elsewhere/0")}
    assert task_from_json(body, moved) == dataclasses.replace(task, inputs=moved)


def test_outcome_comes_back_equal_with_files_of_this_side() -> None:
    file = ProducedFile(
        name="plan.json", path=Path("/here"), media_type="application/json"
    )
    outcome = Outcome(
        status=OutcomeStatus.LOST,
        termination=ENDED,
        result={"seed": 1},
        usage={"wall_s": 2.0},
    )
    body = json.loads(json.dumps(outcome_to_json(outcome)))
    assert outcome_from_json(body, [file]) == dataclasses.replace(
        outcome, produced=(file,)
    )

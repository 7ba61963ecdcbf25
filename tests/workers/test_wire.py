"""Round trip of tasks and outcomes through JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from search.rest import MAX_MEMO_BYTES, EndedJob, Rest, Woken
from trimtab.results import JobState, Limit, Reason, Termination
from workers.types import Finish, Outcome, OutcomeStatus, ProducedFile, Task, TaskLimits
from workers.wire import (
    outcome_from_json,
    outcome_to_json,
    rest_from_json,
    rest_to_json,
    task_from_json,
    task_to_json,
    woken_from_json,
    woken_to_json,
)

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
    woken={
        "memo": {"outline": {}},
        "jobs": {},
        "stop_requested": False,
        "approved": True,
    },
    finish=Finish(ended=ENDED, decorate=False),
)
REST = Rest(state=JobState.AWAITING_APPROVAL, memo={"a": 1}, detail="d", approved=True)


@pytest.mark.parametrize(
    "task",
    [TASK, dataclasses.replace(TASK, start=None, finish=None, needs=(), woken=None)],
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
        rest=REST,
        usage={"wall_s": 2.0},
    )
    body = json.loads(json.dumps(outcome_to_json(outcome)))
    assert outcome_from_json(body, [file]) == dataclasses.replace(
        outcome, produced=(file,)
    )


def test_a_rest_of_a_child_is_checked() -> None:
    body = rest_to_json(REST)
    assert rest_from_json(body) == REST
    assert not rest_from_json({**body, "approved": 1}).approved
    for more, word in (
        ({"state": "SUCCEEDED"}, "rest.state: expected one of NEEDS_INPUT"),
        ({"state": "ASLEEP"}, "ASLEEP"),
        ({"memo": []}, "expected an object"),
        ({"memo": {"a": float("nan")}}, "not JSON compliant"),
        ({"memo": {"a": "x" * MAX_MEMO_BYTES}}, "expected at most 4,194,304 bytes"),
    ):
        with pytest.raises((TypeError, ValueError), match=word):
            rest_from_json({**body, **more})


def test_what_a_woken_run_finds_comes_back_equal() -> None:
    job = EndedJob(
        id="job_1",
        fence=2,
        kind="ilp",
        state=JobState.FAILED,
        spec={"x": 1},
        budget={"seconds": 1.0},
        seed=3,
        termination={"reason": "invalid_input"},
        result=None,
        seconds=1.25,
    )
    woken = Woken(memo={"a": [1]}, jobs={"l1": job}, stop_requested=True, approved=False)
    assert woken_from_json(json.loads(json.dumps(woken_to_json(woken)))) == woken

"""JSON codec of tasks and outcomes, on their way to a child process or over Ray.

Input files do not travel in the JSON: it holds their paths, and the receiver says where the files
are on its side.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.results import Termination
from workers.types import Finish, Outcome, OutcomeStatus, ProducedFile, Task, TaskLimits

Json = dict[str, Any]


def task_to_json(task: Task) -> Json:
    """Encode a task: paths of inputs as text, the checkpoint as base64."""
    plain = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
    finish = task.finish
    return plain | {
        "spec": dict(task.spec),
        "budget": dict(task.budget),
        "inputs": {name: str(path) for name, path in task.inputs.items()},
        "input_names": dict(task.input_names),
        "needs": list(task.needs),
        "limits": dataclasses.asdict(task.limits),
        "start": None if task.start is None else base64.b64encode(task.start).decode(),
        "finish": None
        if finish is None
        else {
            "ended": finish.ended.model_dump(mode="json"),
            "decorate": finish.decorate,
        },
    }


def task_from_json(body: Mapping[str, Any], inputs: Mapping[str, Path]) -> Task:
    """Decode a task. `inputs` are the paths of its input files on this side."""
    start, finish = body["start"], body["finish"]
    decoded = {
        "inputs": dict(inputs),
        "needs": tuple(body["needs"]),
        "limits": TaskLimits(**body["limits"]),
        "start": None if start is None else base64.b64decode(start),
        "finish": None
        if finish is None
        else Finish(
            ended=Termination.model_validate(finish["ended"], strict=False),
            decorate=bool(finish["decorate"]),
        ),
    }
    return Task(**{**body, **decoded})


def outcome_to_json(outcome: Outcome) -> Json:
    """Encode an outcome without its produced files."""
    return {
        "status": outcome.status.value,
        "termination": outcome.termination.model_dump(mode="json"),
        "result": None if outcome.result is None else dict(outcome.result),
        "usage": dict(outcome.usage),
    }


def outcome_from_json(
    body: Mapping[str, Any], produced: Sequence[ProducedFile] = ()
) -> Outcome:
    """Decode an outcome. `produced` are its files on this side."""
    return Outcome(
        status=OutcomeStatus(body["status"]),
        termination=Termination.model_validate(body["termination"], strict=False),
        result=body["result"],
        produced=tuple(produced),
        usage=body["usage"],
    )

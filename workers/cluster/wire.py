"""Tasks and outcomes as JSON, on their way over Ray. Files travel beside them as bytes."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.results import Termination
from workers.types import Finish, Limits, Outcome, OutcomeStatus, ProducedFile, Task

Json = dict[str, Any]
CHUNK_BYTES = 4 * 2**20
MAX_INPUT_BYTES = (
    512 * 2**20
)  # all inputs of a run together: each node's object store holds them in memory


def task_to_json(task: Task) -> Json:
    """All but the bytes of the inputs; these keep their names."""
    return {
        "job_id": task.job_id,
        "fence": task.fence,
        "kind": task.kind,
        "builder": task.builder,
        "spec_class": task.spec_class,
        "spec": dict(task.spec),
        "seed": task.seed,
        "budget": dict(task.budget),
        "inputs": {name: str(path) for name, path in task.inputs.items()},
        "input_names": dict(task.input_names),
        "limits": dataclasses.asdict(task.limits),
        "baseline": task.baseline,
        "start": None if task.start is None else base64.b64encode(task.start).decode(),
        "finish": None
        if task.finish is None
        else {
            "ended": task.finish.ended.model_dump(mode="json"),
            "decorate": task.finish.decorate,
        },
    }


def task_from_json(given: Mapping[str, Any], inputs: Mapping[str, Path]) -> Task:
    """The task again, with its inputs where they are now."""
    finish = given["finish"]
    return Task(
        **{
            **given,
            "inputs": dict(inputs),
            "limits": Limits(**given["limits"]),
            "start": None if given["start"] is None else base64.b64decode(given["start"]),
            "finish": None
            if finish is None
            else Finish(
                ended=Termination.model_validate(finish["ended"], strict=False),
                decorate=bool(finish["decorate"]),
            ),
        }
    )


def outcome_to_json(outcome: Outcome) -> Json:
    """All but the produced files."""
    return {
        "status": outcome.status.value,
        "termination": outcome.termination.model_dump(mode="json"),
        "result": None if outcome.result is None else dict(outcome.result),
        "usage": dict(outcome.usage),
    }


def outcome_from_json(
    given: Mapping[str, Any], produced: Sequence[ProducedFile] = ()
) -> Outcome:
    """The outcome again, with its files where they are now."""
    return Outcome(
        status=OutcomeStatus(given["status"]),
        termination=Termination.model_validate(given["termination"], strict=False),
        result=given["result"],
        produced=tuple(produced),
        usage=given["usage"],
    )

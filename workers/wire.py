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

from search.rest import EndedJob, Rest, Woken, require_sound
from trimtab.results import JobState, Termination
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
        "models": dict(task.models),
        "needs": list(task.needs),
        "limits": dataclasses.asdict(task.limits),
        "start": None if task.start is None else base64.b64encode(task.start).decode(),
        "woken": None if task.woken is None else dict(task.woken),
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


def rest_to_json(rest: Rest) -> Json:
    """Encode a rest."""
    return {
        "state": rest.state.value,
        "memo": dict(rest.memo),
        "detail": rest.detail,
        "approved": rest.approved,
    }


def rest_from_json(body: Mapping[str, Any]) -> Rest:
    """Decode a rest, which a child sent. Raises ValueError, KeyError or TypeError."""
    if not isinstance(body["memo"], Mapping):
        raise TypeError("rest.memo: expected an object")
    rest = Rest(
        state=JobState(body["state"]),
        memo=body["memo"],
        detail=str(body["detail"])[:2000],
        approved=body["approved"] is True,
    )
    require_sound(rest)
    return rest


def woken_to_json(woken: Woken) -> Json:
    """Encode what a run finds that was at rest."""
    jobs = {leaf: dataclasses.asdict(job) for leaf, job in woken.jobs.items()}
    return {
        "memo": dict(woken.memo),
        "jobs": {
            leaf: {**job, "state": job["state"].value} for leaf, job in jobs.items()
        },
        "stop_requested": woken.stop_requested,
        "approved": woken.approved,
        "site": woken.site,
    }


def woken_from_json(body: Mapping[str, Any]) -> Woken:
    """Decode what a run finds that was at rest."""
    return Woken(
        memo=body["memo"],
        jobs={
            leaf: EndedJob(**{**job, "state": JobState(job["state"])})
            for leaf, job in body["jobs"].items()
        },
        stop_requested=body["stop_requested"],
        approved=body["approved"],
        site=body["site"],
    )


def outcome_to_json(outcome: Outcome) -> Json:
    """Encode an outcome without its produced files."""
    return {
        "status": outcome.status.value,
        "termination": outcome.termination.model_dump(mode="json"),
        "result": None if outcome.result is None else dict(outcome.result),
        "rest": None if outcome.rest is None else rest_to_json(outcome.rest),
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
        rest=None if body["rest"] is None else rest_from_json(body["rest"]),
        produced=tuple(produced),
        usage=body["usage"],
    )

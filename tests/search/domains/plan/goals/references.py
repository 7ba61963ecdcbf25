"""Requests of a reference graph: paths looked up in the kinds' schemas, values validated."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from tests.search.domains.plan.goals.load import (
    Goal,
    GoalError,
    Graph,
    Job,
)
from trimtab import specs
from trimtab.specs.common import Spec, awaited_digest, request_model
from workers.corpus.goals import references
from workers.corpus.goals.references import EVERY_JOB, Produced

_DIGEST = "sha256:" + "0" * 64


@functools.cache
def spec_of(kind: str) -> type[Spec]:
    """Return the spec of a kind. Raises GoalError for an unknown one."""
    if kind not in specs.SPECS:
        raise GoalError(f"kind: expected one of {sorted(specs.SPECS)}, got {kind!r}")
    module, _, name = specs.SPECS[kind].partition(":")
    spec: type[Spec] = getattr(importlib.import_module(module), name)
    return spec


def look_up(kind: str, path: str) -> tuple[str, Mapping[str, Any]]:
    """Return a path with every index written out, and its part of the schema.

    Raises GoalError for an unknown kind, and for a path that the kind has not.
    """
    spec_of(kind)
    try:
        return references.look_up(kind, path)
    except ValueError as error:
        raise GoalError(str(error)) from error


def check_value(kind: str, path: str, value: Any) -> str:
    """Return the full path. Raises GoalError for a value that its schema refuses."""
    full, part = look_up(kind, path)
    judge = jsonschema.Draft202012Validator(
        {**part, "$defs": references.schema_of(kind)["$defs"]}
    )
    for fault in judge.iter_errors(value):
        raise GoalError(f"{full}: expected a value of the schema, got {fault.message}")
    return full


def is_file_field(kind: str, path: str) -> bool:
    """Return whether a path leads to a field that takes a file."""
    _, part = look_up(kind, path)
    return any(
        branch.get("$ref", "").endswith("/ArtifactRef")
        for branch in (part, *part.get("anyOf", []))
    )


def answered(goal: Goal, graph: Graph, tags: frozenset[str]) -> dict[str, dict[str, Any]]:
    """Return job → full path → value after these questions have been answered."""
    slots: dict[str, dict[str, Any]] = {}
    for job in graph.jobs:
        own = slots[job.name] = {
            look_up(job.kind, path)[0]: value for path, value in job.set.items()
        }
        for tag in sorted(tags):
            effect = goal.answers[tag].set
            for name in (EVERY_JOB, job.name):
                for path, value in effect.get(name, {}).items():
                    own[check_value(job.kind, path, value)] = value
    return slots


def requests(goal: Goal, graph: Graph) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Yield each job with its complete request: all questions answered, the first choice taken."""
    everything = answered(goal, graph, goal.must_ask | goal.may_ask)
    for job in graph.jobs:
        slots = {
            look_up(job.kind, path)[0]: values[0]
            for path, values in job.any_of.items()
            if values[0] is not None
        }
        slots.update(everything[job.name])
        slots.update(_files(goal, job))
        request: dict[str, Any] = {"kind": job.kind, "spec": {}}
        for path in sorted(slots, key=_index_order):
            _put(request, path.split("."), slots[path])
        yield job, request


def validate(request: Mapping[str, Any]) -> Spec:
    """Return the spec of a request that the kind's own validation accepts. Raises GoalError."""
    model = request_model(spec_of(request["kind"]))
    try:
        spec: Spec = model.model_validate_json(json.dumps(request)).spec
    except ValueError as error:
        raise GoalError(
            f"{request['kind']}: expected a valid request, got {error}"
        ) from error
    return spec


def _files(goal: Goal, job: Job) -> dict[str, dict[str, str]]:
    named: dict[str, str | Produced] = dict(job.files)
    for answer in goal.answers.values():
        named.update(answer.files.get(job.name, {}))
    found = {}
    for field, file in named.items():
        path, _ = look_up(job.kind, f"spec.{field}")
        if isinstance(file, str):
            found[path] = {"digest": _DIGEST, "name": file}
        else:
            digest = awaited_digest(file.job, file.output)
            found[path] = {"digest": digest, "name": file.output}
    return found


def _index_order(path: str) -> list[tuple[int, str]]:
    return [(int(key), "") if key.isdigit() else (0, key) for key in path.split(".")]


def _put(whole: Any, keys: list[str], value: Any) -> None:
    key: Any = int(keys[0]) if keys[0].isdigit() else keys[0]
    if isinstance(whole, list) and key == len(whole):
        whole.append(None)
    if len(keys) == 1:
        whole[key] = value
        return
    inner = whole[key] if isinstance(whole, list) else whole.get(key)
    if inner is None:
        inner = whole[key] = [] if keys[1].isdigit() else {}
    _put(inner, keys[1:], value)

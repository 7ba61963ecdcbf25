"""Requests of a reference graph: paths looked up in the kinds' schemas, values validated."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from tests.search.domains.plan.goals.load import (
    EVERY_JOB,
    Goal,
    GoalError,
    Graph,
    Job,
    OutputOf,
)
from trimtab import specs
from trimtab.specs.common import Spec, awaited_digest, request_model

_DIGEST = "sha256:" + "0" * 64


@functools.cache
def spec_of(kind: str) -> type[Spec]:
    """Return the spec of a kind. Raises GoalError for an unknown one."""
    if kind not in specs.SPECS:
        raise GoalError(f"kind: expected one of {sorted(specs.SPECS)}, got {kind!r}")
    module, _, name = specs.SPECS[kind].partition(":")
    spec: type[Spec] = getattr(importlib.import_module(module), name)
    return spec


@functools.cache
def schema_of(kind: str) -> dict[str, Any]:
    """Return the JSON schema of a kind's request."""
    return request_model(spec_of(kind)).model_json_schema()


def look_up(kind: str, path: str) -> tuple[str, dict[str, Any]]:
    """Return a path with every index written out, and its part of the schema.

    `spec.devices.count` is `spec.devices.0.count`. Raises GoalError for a path that the kind has
    not.
    """
    root = schema_of(kind)
    part: dict[str, Any] = root
    keys: list[str] = []
    for key in path.split("."):
        part = _chosen(root, part, key, path)
        if part.get("type") == "array":
            if not key.isdigit():
                keys.append("0")
                part = _chosen(root, _item(part, "0"), key, path)
            else:
                keys.append(key)
                part = _item(part, key)
                continue
        keys.append(key)
        part = part["properties"][key]
    return ".".join(keys), part


def _item(part: Mapping[str, Any], index: str) -> dict[str, Any]:
    prefix = part.get("prefixItems", [])
    item: dict[str, Any] = (
        prefix[int(index)] if int(index) < len(prefix) else part["items"]
    )
    return item


def _chosen(
    root: Mapping[str, Any], part: dict[str, Any], key: str, path: str
) -> dict[str, Any]:
    """Return the branch of the schema that has `key`: an object with it, or an array."""
    if "$ref" in part:
        part = root["$defs"][part["$ref"].rpartition("/")[2]]
    for branch in part.get("anyOf", []):
        try:
            return _chosen(root, branch, key, path)
        except GoalError:
            continue
    if part.get("type") == "array" or key in part.get("properties", {}):
        return part
    raise GoalError(f"{path}: expected a field of the kind, got {key!r}")


def check_value(kind: str, path: str, value: Any) -> str:
    """Return the full path. Raises GoalError for a value that its schema refuses."""
    full, part = look_up(kind, path)
    judge = jsonschema.Draft202012Validator({**part, "$defs": schema_of(kind)["$defs"]})
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
    named: dict[str, str | OutputOf] = dict(job.files)
    for answer in goal.answers.values():
        named.update(answer.files.get(job.name, {}))
    references = {}
    for field, file in named.items():
        path, _ = look_up(job.kind, f"spec.{field}")
        if isinstance(file, str):
            references[path] = {"digest": _DIGEST, "name": file}
        else:
            digest = awaited_digest(file.job, file.output)
            references[path] = {"digest": digest, "name": file.output}
    return references


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

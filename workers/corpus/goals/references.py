"""Goals in words with their reference graphs, from JSON lines.

The format is described in `tests/search/domains/plan/goals/README.md`. Paths are written out, so
that `spec.devices.count` and `spec.devices.0.count` are one slot.
"""

from __future__ import annotations

import base64
import functools
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.kinds import KINDS
from trimtab.specs.common import request_model

EVERY_JOB = "*"
"""Name in an answer's effect that stands for all jobs of the graph."""


@dataclass(frozen=True, kw_only=True)
class Produced:
    """A file that another job of the reference makes."""

    job: str
    output: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job of the reference: only what the goal says of it, by written-out path."""

    name: str
    kind: str
    files: Mapping[str, str | Produced]  # `spec.model` → name of an attached file
    set: Mapping[str, Any]
    any_of: Mapping[str, tuple[Any, ...]]  # None: may stay unset


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Jobs and their order."""

    jobs: tuple[Job, ...]
    order: frozenset[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A person's answer to a question, and what follows."""

    text: str
    set: Mapping[str, Mapping[str, Any]]  # job or `*` → path → value
    files: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A goal and what a plan of it must be."""

    id: str
    stratum: str
    text: str
    files: tuple[str, ...]
    graphs: tuple[Graph, ...]  # equally right
    not_done: Mapping[str, str]  # tag → words of the goal
    must_ask: frozenset[str]
    may_ask: frozenset[str]
    answers: Mapping[str, Answer]


def load(path: Path) -> list[Goal]:
    """Read goals. Raises ValueError or KeyError for a line that is none."""
    return [_goal(json.loads(line)) for line in text_of(path).splitlines() if line]


def text_of(path: Path) -> str:
    """Return the lines of a file of goals.

    Held-out goals end in `.sealed`, packed so that no search through the tree shows them to those
    who write the planner.
    """
    if path.suffix != ".sealed":
        return path.read_text()
    return zlib.decompress(base64.b64decode(path.read_bytes())).decode()


def _goal(row: Mapping[str, Any]) -> Goal:
    main = {"jobs": row["jobs"], "order": row["order"]}
    others = [{"order": [], **other} for other in row.get("alternatives", ())]
    return Goal(
        id=row["id"],
        stratum=row["stratum"],
        text=row["goal"],
        files=tuple(row["files"]),
        graphs=tuple(_graph(part) for part in (main, *others)),
        not_done=dict(row["spans"]),
        must_ask=frozenset(tag for tag in row["ask"] if not tag.startswith("?")),
        may_ask=frozenset(tag[1:] for tag in row["ask"] if tag.startswith("?")),
        answers={
            tag: Answer(
                text=part["answer"], set=part.get("set", {}), files=part.get("files", {})
            )
            for tag, part in row["answers"].items()
        },
    )


def _graph(row: Mapping[str, Any]) -> Graph:
    jobs = tuple(_job(part) for part in row["jobs"])
    order = {(before, after) for before, after in row["order"]}
    order |= {
        (file.job, job.name)
        for job in jobs
        for file in job.files.values()
        if isinstance(file, Produced)
    }
    return Graph(jobs=jobs, order=frozenset(order))


def _job(row: Mapping[str, Any]) -> Job:
    kind = row["kind"]
    return Job(
        name=row["name"],
        kind=kind,
        files={
            written_out(kind, f"spec.{field}"): file
            if isinstance(file, str)
            else Produced(job=file["output_of"], output=file["output"])
            for field, file in row["files"].items()
        },
        set={written_out(kind, path): value for path, value in row["set"].items()},
        any_of={
            written_out(kind, path): tuple(values)
            for path, values in row.get("any_of", {}).items()
        },
    )


def answered(goal: Goal, graph: Graph, tags: frozenset[str]) -> Graph:
    """Return a graph after some questions have been answered."""
    jobs = []
    for job in graph.jobs:
        values, files = dict(job.set), dict(job.files)
        choices = dict(job.any_of)
        for tag in sorted(tags & set(goal.answers)):
            answer = goal.answers[tag]
            for name in (EVERY_JOB, job.name):
                for path, value in answer.set.get(name, {}).items():
                    full = written_out(job.kind, path)
                    values[full] = value
                    choices.pop(full, None)
                for field, file in answer.files.get(name, {}).items():
                    files[written_out(job.kind, f"spec.{field}")] = file
        jobs.append(
            Job(name=job.name, kind=job.kind, files=files, set=values, any_of=choices)
        )
    return Graph(jobs=tuple(jobs), order=graph.order)


@functools.cache
def schema_of(kind: str) -> Mapping[str, Any]:
    """Return the JSON schema of a kind's request."""
    schema: Mapping[str, Any] = request_model(KINDS[kind].spec).model_json_schema()
    return schema


def written_out(kind: str, path: str) -> str:
    """Return a path with the index 0 wherever it leads through a list without one.

    Raises ValueError for a path that the kind has not.
    """
    return look_up(kind, path)[0]


def schema_default(kind: str, path: str) -> tuple[Any, ...]:
    """Return the default of a field as a tuple of one; empty where it has none."""
    part = look_up(kind, path)[1]
    if "default" in part:
        return (part["default"],)
    return ()


@functools.cache
def look_up(kind: str, path: str) -> tuple[str, Mapping[str, Any]]:
    """Return a path with every index written out, and its part of the schema.

    `spec.devices.count` is `spec.devices.0.count`. Raises ValueError for a path that the kind has
    not.
    """
    part: Mapping[str, Any] = schema_of(kind)
    keys: list[str] = []
    for word in path.split("."):
        part = _expected(kind, part, word, path)
        if part.get("type") == "array":
            if word.isdigit():
                keys.append(word)
                part = _item(part, int(word))
                continue
            keys.append("0")
            part = _expected(kind, _item(part, 0), word, path)
        keys.append(word)
        part = part["properties"][word]
    return ".".join(keys), part


def _expected(
    kind: str, part: Mapping[str, Any], word: str, path: str
) -> Mapping[str, Any]:
    branch = _branch(kind, part, word)
    if branch is None:
        raise ValueError(f"{path}: expected a field of the kind {kind}, got {word!r}")
    return branch


def _item(part: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    prefix = part.get("prefixItems", ())
    item: Mapping[str, Any] = prefix[index] if index < len(prefix) else part["items"]
    return item


def _branch(kind: str, part: Mapping[str, Any], word: str) -> Mapping[str, Any] | None:
    """Return the member of a union that has a field, or is a list."""
    if "$ref" in part:
        part = schema_of(kind)["$defs"][part["$ref"].rpartition("/")[2]]
    for option in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        if (branch := _branch(kind, option, word)) is not None:
            return branch
    if part.get("type") == "array" or word in part.get("properties", {}):
        return part
    return None

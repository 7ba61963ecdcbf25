"""Graphs of jobs as a learned reader gives them, made by hand from the words of a goal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from search.domains.plan.domain import OFFERED
from search.domains.plan.reading.graphs.types import (
    ReadGraph,
    ReadJob,
    ReadPart,
    ReadValue,
    Words,
)
from search.domains.plan.reading.joint.both import learned_reading
from search.domains.plan.reading.read import read_goal
from search.domains.plan.types import FileFacts, FileRole, Reading

ROLES = {
    ".mps": FileRole.MODEL,
    ".lp": FileRole.MODEL,
    ".sol": FileRole.START,
    ".csv": FileRole.TABLES,
    ".c": FileRole.SOURCE,
    ".zip": FileRole.SOURCE,
}


def file(name: str, *tables: str) -> FileFacts:
    """Return a file by the suffix of its name."""
    suffix = name[name.index(".") :]
    return FileFacts(
        name=name, digest="sha256:" + "a" * 64, roles=(ROLES[suffix],), names=tables
    )


def words(goal: str, *parts: str) -> tuple[Words, ...]:
    """Return the places of some words; `8@2` is the second 8 of the goal."""
    found = []
    for part in parts:
        text, _, rank = part.rpartition("@")
        text, count = (text, int(rank)) if text and rank.isdigit() else (part, 1)
        at = -1
        for _ in range(count):
            at = goal.index(text, at + 1)
        found.append(Words(start=at, end=at + len(text)))
    return tuple(found)


def stated(goal: str, path: str, *parts: str) -> ReadValue:
    """Return a value that the words state."""
    return ReadValue(path=path, words=words(goal, *parts))


def closed(goal: str, path: str, value: Any, *parts: str) -> ReadValue:
    """Return a value of a closed list, seen at some words."""
    return ReadValue(path=path, words=words(goal, *parts), closed=True, value=value)


def job(
    kind: str,
    *values: ReadValue,
    files: Mapping[str, str] | None = None,
    outputs: Mapping[str, tuple[int, str]] | None = None,
) -> ReadJob:
    """Return a job."""
    return ReadJob(
        kind=kind, values=values, files=dict(files or {}), outputs=dict(outputs or {})
    )


def graph(
    *jobs: ReadJob,
    order: Iterable[tuple[int, int]] = (),
    not_done: tuple[ReadPart, ...] = (),
    asks: tuple[str, ...] = (),
    confidence: float = 0.9,
) -> ReadGraph:
    """Return a graph of some jobs."""
    return ReadGraph(
        jobs=jobs,
        order=frozenset(order),
        not_done=not_done,
        asks=asks,
        log_probability=-0.5,
        confidence=confidence,
    )


def read(
    goal: str,
    files: Iterable[FileFacts],
    made: ReadGraph,
    answers: Mapping[str, str] | None = None,
) -> Reading | str:
    """Return the reading of a graph, or why it is none."""
    files = list(files)
    rules = read_goal(goal, files, specs=OFFERED)
    return learned_reading(made, goal, files, rules, answers or {}, OFFERED)


def values(reading: Reading | str, index: int = 0) -> dict[str, Any]:
    """Return the values of one job by path."""
    assert isinstance(reading, Reading), reading
    return {value.path: value.value for value in reading.wishes[index].values}

"""Readings for tests of outlines, made by hand."""

from __future__ import annotations

from typing import Any

from search.domains.plan.outline.tree import Material, outline_of
from search.domains.plan.types import FileFacts, FileRole, Order, Reading, Value, Wish
from search.kinds import KINDS
from trimtab.plans import Outline, Span

SPECS = {name: KINDS[name].spec for name in ("ilp", "sharding", "compile", "antenna")}
GOAL = "one two three four five six seven eight nine ten"
ROLES = {
    "lp": FileRole.MODEL,
    "sol": FileRole.START,
    "csv": FileRole.TABLES,
    "c": FileRole.SOURCE,
}


def span(word: int) -> tuple[Span, ...]:
    """The span of a word of GOAL, counted from 0."""
    start = len(" ".join(GOAL.split()[:word])) + (word > 0)
    return (Span(start=start, end=start + len(GOAL.split()[word])),)


def facts(name: str) -> FileFacts:
    digest = "sha256:" + f"{sum(name.encode()):064x}"
    role = ROLES[name.rpartition(".")[2]]
    return FileFacts(name=name, digest=digest, roles=(role,), facts={"lines": 3})


def wish(kind: str, *, word: int = 0, files: Any = (), **fields: Any) -> Wish:
    """A wish whose values are all stated by one word."""
    values = tuple(
        Value(path=path, value=value, spans=span(word))
        for path, value in dict(fields.pop("values", {})).items()
    )
    return Wish(
        kind=kind,
        intent="solve",
        files=dict(files),
        values=values,
        spans=span(word),
        **fields,
    )


def ilp(name: str = "a.lp", **fields: Any) -> Wish:
    return wish("ilp", files={"model": name}, **fields)


def read(*wishes: Wish, order: tuple[Order, ...] = (), **fields: Any) -> Reading:
    return Reading(goal=GOAL, wishes=wishes, order=order, **fields)


def then(parent: int, child: int, *, success: bool = False) -> Order:
    return Order(parent=parent, child=child, needs_success=success, why="then")


def outlined(reading: Reading, **fields: Any) -> Outline:
    names = {name for row in reading.wishes for name in row.files.values()}
    files = [facts(name) for name in sorted(names)]
    return outline_of(
        Material(**{"reading": reading, "files": files, "specs": SPECS, **fields})
    )

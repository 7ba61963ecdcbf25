"""Templates of leaves and of goals, as TOML without code.

A template names a kind, the conditions under which it fits (`when`), what must be bound
(`requires`), defaults for what the goal leaves open, questions, post-conditions and repairs. A
joiner says how several jobs make one goal.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from search.domains.plan.outline.conditions import Condition, parse
from trimtab.plans import Repair

FOLDER = Path(__file__).parent
Stages = Literal["one", "level", "kind"]


@dataclass(frozen=True, kw_only=True)
class Default:
    """A value for what a goal leaves open."""

    path: str
    value: Any
    words: str
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A closed question for a required value that has no default."""

    path: str
    about: str
    text: str
    options: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Template:
    """A pattern of one leaf."""

    id: str
    kind: str
    title: str
    stage: str
    when: tuple[Condition, ...] = ()
    requires: tuple[str, ...] = ()
    defaults: tuple[Default, ...] = ()
    asks: tuple[Ask, ...] = ()
    post: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()

    def fits(self, context: Mapping[str, Any]) -> bool:
        """Return whether the template is made for a request."""
        return all(condition.holds(context) for condition in self.when)


@dataclass(frozen=True, kw_only=True)
class Joiner:
    """A pattern of one goal over several leaves."""

    id: str
    title: str
    stages: Stages
    when: tuple[Condition, ...]

    def fits(self, context: Mapping[str, Any]) -> bool:
        """Return whether the joiner is made for a group of jobs."""
        return all(condition.holds(context) for condition in self.when)


@dataclass(frozen=True, kw_only=True)
class Library:
    """All templates."""

    templates: tuple[Template, ...]
    joiners: tuple[Joiner, ...]

    def of(self, kind: str) -> tuple[Template, ...]:
        """Return the templates of a kind."""
        return tuple(row for row in self.templates if row.kind == kind)

    def template(self, id: str) -> Template | None:
        """Return a template by its id."""
        return next((row for row in self.templates if row.id == id), None)


@functools.cache
def library() -> Library:
    """Read the templates that are shipped."""
    files = sorted(FOLDER.glob("*.toml"))
    return library_of([tomllib.loads(file.read_text()) for file in files])


def library_of(documents: Sequence[Mapping[str, Any]]) -> Library:
    """Return the templates of parsed TOML documents. Raises ValueError or KeyError."""
    templates = [
        _template(row, document.get("default", ()))
        for document in documents
        for row in document.get("template", ())
    ]
    joiners = [
        _joiner(row) for document in documents for row in document.get("joiner", ())
    ]
    ids = [*(row.id for row in templates), *(row.id for row in joiners)]
    if twice := {id for id in ids if ids.count(id) > 1}:
        raise ValueError(f"templates: expected each id once, got {sorted(twice)}")
    return Library(templates=tuple(templates), joiners=tuple(joiners))


def _template(row: Mapping[str, Any], shared: Sequence[Mapping[str, Any]]) -> Template:
    """Return a template; `shared` are defaults of every template of its file, after its own."""
    keys = {"id", "kind", "when", "requires", "title", "stage", "post"}
    _closed(row, keys | {"default", "question", "repair"}, row["id"])
    for text in row.get("post", ()):
        parse(text)
    return Template(
        id=row["id"],
        kind=row["kind"],
        title=row["title"],
        stage=row["stage"],
        when=_conditions(row),
        requires=tuple(row.get("requires", ())),
        defaults=tuple(
            Default(
                path=part["path"],
                value=part["value"],
                words=part["words"],
                when=_conditions(part),
            )
            for part in (*row.get("default", ()), *shared)
        ),
        asks=tuple(
            Ask(
                path=part["path"],
                about=part["about"],
                text=part["text"],
                options=tuple(part["options"]),
            )
            for part in row.get("question", ())
        ),
        post=tuple(row.get("post", ())),
        repairs=tuple(
            Repair(on=tuple(part["on"]), set=part["set"], words=part["words"])
            for part in row.get("repair", ())
        ),
    )


def _joiner(row: Mapping[str, Any]) -> Joiner:
    _closed(row, {"id", "when", "title", "stages"}, row["id"])
    if row["stages"] not in ("one", "level", "kind"):
        raise ValueError(
            f"{row['id']}.stages: expected one, level or kind, got {row['stages']!r}"
        )
    return Joiner(
        id=row["id"],
        title=row["title"],
        stages=cast("Stages", row["stages"]),
        when=_conditions(row),
    )


def _conditions(row: Mapping[str, Any]) -> tuple[Condition, ...]:
    return tuple(parse(text) for text in row.get("when", ()))


def _closed(row: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := set(row) - known:
        raise ValueError(
            f"{where}: expected {', '.join(sorted(known))}, got {sorted(unknown)}"
        )

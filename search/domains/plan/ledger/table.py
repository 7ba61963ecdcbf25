"""Rows of `measures.toml`: what may be stated about a job of a kind, and what follows from it."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[1] / "measures.toml"
COMMON = "common"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A value to read from a job; the comments of `measures.toml` explain each field."""

    name: str
    pointer: str
    type: str = "number"
    rule: str = "exact"
    unit: str = ""
    checked: str = ""
    passage: str = ""
    label: str = ""
    select: str = ""
    # Pointer → words: the measure holds only for jobs with one of these there.
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # Key → beginning: only entries of the list that have such a word.
    entries: Mapping[str, str] = field(default_factory=dict)
    show: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Predicate:
    """A statement about one word."""

    name: str
    of: str
    among: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """A fact made of others, or a statement about them."""

    name: str
    op: str
    of: tuple[str, ...]
    each: str = ""  # one for every fact of this pattern
    names: str = ""  # argmin and argmax: words to choose from
    unit: str = ""
    rule: str = "exact"
    label: str = ""
    passage: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of one kind."""

    measures: tuple[Measure, ...]
    predicates: tuple[Predicate, ...]
    derivations: tuple[Derivation, ...]


@functools.cache
def table_of(kind: str) -> Table:
    """Return the rows of a kind; of an unknown kind, those that hold for every job."""
    data = _data()
    measures = {**data[COMMON], **data.get(kind, {})}
    return Table(
        measures=tuple(Measure(name=name, **row) for name, row in measures.items()),
        predicates=tuple(
            Predicate(name=name, of=row["of"], among=tuple(row["among"]))
            for name, row in data["predicate"].items()
        ),
        derivations=tuple(
            Derivation(**{**row, "name": name, "of": tuple(row["of"])})
            for name, row in data["derived"].get(kind, {}).items()
        ),
    )


@functools.cache
def _data() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))

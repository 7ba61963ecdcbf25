"""Types that the planner's parts exchange: files, readings of a goal, facts of a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from trimtab.plans import NotDone, Question, Span

ANSWERED = "as you answered: "
"""Begins the note of a value that the owner gave when asked; the answer follows."""


class FileRole(StrEnum):
    """Role of a file in a job."""

    MODEL = "model"  # an integer program: .mps, .lp, also compressed
    START = "start"  # values of its variables: .sol
    TABLES = "tables"  # embedding tables of a recommender
    SOURCE = "source"  # C, C++, LLVM IR, an archive of them
    PLAN = "plan"  # a sharding plan in use: trimtab-sharding-plan/1
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """A file as its bytes show it. Text inside a file never leaves this class as prose."""

    name: str
    digest: str
    roles: tuple[FileRole, ...]  # likeliest first
    facts: Mapping[str, int] = field(default_factory=dict)  # rows, columns, tables, lines
    # Names of the tables in a list of tables: identifiers that the goal may use, never prose.
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Value:
    """A value that the goal states for one job."""

    path: str  # dotted, in the request: `spec.devices.0.count`, `budget.seconds`, `seed`
    value: Any  # JSON, in the unit of the spec
    spans: tuple[Span, ...]
    note: str = ""  # when the reading is a choice to be shown, in words


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One job that the goal asks for."""

    kind: str
    intent: str  # of the kind's words.toml, e.g. `solve`, `shrink`, `what_if`
    files: Mapping[str, str]  # field of the spec → name of the file
    # Field of the spec → (index of the wish that makes the file, name of the file).
    outputs: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    values: tuple[Value, ...] = ()
    removed: tuple[
        str, ...
    ] = ()  # paths whose value the goal rules out: `spec.engine=scip`
    spans: tuple[Span, ...] = ()  # words that ask for it
    group: int = (
        0  # wishes of one sentence or comparison share a group: one goal of the outline
    )


@dataclass(frozen=True, kw_only=True)
class Order:
    """Wish `child` waits for wish `parent`."""

    parent: int
    child: int
    needs_success: bool
    why: str
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Reading of a goal, with an account of every word that matters."""

    goal: str
    wishes: tuple[Wish, ...]
    order: tuple[Order, ...] = ()
    not_done: tuple[NotDone, ...] = ()
    questions: tuple[Question, ...] = ()  # at most 3
    not_understood: tuple[Span, ...] = ()
    notes: tuple[str, ...] = ()
    reader: str = (
        ""  # who read it and what the other reader says, in words; empty: rules alone
    )
    # Set: the goal is refused as a whole (another language, hidden characters, too long).
    refused: str | None = None


Verified = Literal["verified", "measured, not verified", "derived", "stated"]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One entry of the ledger: the only source of numbers of a report."""

    id: str  # letters only, so that no digit is ever legal in text of a model
    name: str  # `sharding.cost`, `ilp.gap`, `seconds`
    leaf: str  # leaf of the outline; empty for facts over several
    # The result's own decimal text, a word, or the truth of a predicate
    value: str | bool
    unit: str
    job: str | None  # that measured it; None for derived facts
    fence: int | None
    pointer: str  # JSON pointer into the job, `/result/objective`
    verified: Verified
    by: str  # what checked it, in words
    shown: str  # as it stands in text, rounded once
    rule: str  # of the rounding, in words
    derived: tuple[str, tuple[str, ...]] | None = None  # operation and ids it was made of
    condition: Mapping[str, Any] = field(default_factory=dict)

"""A job graph as the learned reader gives it: words of the goal by place, not yet values.

Places are characters of the goal's text: `goal[start:end]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Operator(StrEnum):
    """How a value follows from the same path of an earlier job, where no words state it."""

    SAME = "same"  # equal to it
    NEXT = "next"  # one more: "the next seed"
    TIMES = "times"  # `argument` times it: 2, 0.5, …
    MORE = (
        "more"  # more by what the words say, less if `argument` is -1: "a minute longer"
    )


@dataclass(frozen=True, kw_only=True)
class Words:
    """Some words of the goal."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class ReadValue:
    """A value of one job: read from words, chosen from a closed set, or made from another job's.

    Exactly one holds: `value` is set (`closed`), `operator` is set, or the value is what the words
    say, in the unit of the field at `path`.
    """

    path: str  # written out, in the request: `spec.devices.0.count`, `budget.seconds`, `seed`
    words: tuple[Words, ...] = ()  # in the order of the text; empty: implied
    closed: bool = False  # `value` is the value; the words only say where it was seen
    value: Any = None
    operator: Operator | None = None
    argument: float = 0.0
    of: int | None = None  # index of the job that the operator takes the path of
    # Of the steps that say this value, natural logarithm; 0 for graphs that were not predicted.
    log_probability: float = field(default=0.0, compare=False)


@dataclass(frozen=True, kw_only=True)
class ReadJob:
    """One job. Values and files that jobs share stand in each of them."""

    kind: str
    values: tuple[ReadValue, ...] = ()
    # Field below `spec`, as `model` or `runs.0.stdin_file` → name of an attached file.
    files: Mapping[str, str]
    # Field below `spec` → (index of the job that makes the file, name of its output).
    outputs: Mapping[str, tuple[int, str]]


@dataclass(frozen=True, kw_only=True)
class ReadPart:
    """A part that trimtab cannot do, by its words."""

    tag: str  # `mail`, `web`, …: tags of the references, for people
    words: tuple[Words, ...]


@dataclass(frozen=True, kw_only=True)
class ReadGraph:
    """The whole graph, with how sure the model is of all of it."""

    jobs: tuple[ReadJob, ...]
    # (before, after) by index of the jobs; what follows from `outputs` is not repeated.
    order: frozenset[tuple[int, int]]
    not_done: tuple[ReadPart, ...]
    asks: tuple[str, ...]  # tags of questions that must be asked
    log_probability: float  # of the sequence of decisions, natural logarithm
    confidence: float  # calibrated probability that the whole graph is right, 0 to 1

"""Messages from the processes of a run to its supervisor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from search.domains.ilp.tagged import Tagged, Vocabulary


class Role(StrEnum):
    """Process of a run."""

    ENGINE = "engine"
    LNS = "lns"
    JUMP = "jump"
    ROOT_LP = "root"


class RunMessage(Tagged):
    """Base of the messages of a run."""


@dataclass(frozen=True, kw_only=True)
class NewIncumbent(RunMessage):
    """The sender's slot holds a better solution. Any message wakes the supervisor."""

    TYPE: ClassVar[str] = "new-incumbent"

    source: str = ""  # what found it, e.g. "lns:rins"; empty for the engine


@dataclass(frozen=True, kw_only=True)
class EngineEnded(RunMessage):
    """The engine's termination."""

    TYPE: ClassVar[str] = "engine-ended"

    reason: str  # a value of trimtab.results.Reason, or "crashed"
    limit: str | None = None
    detail: str = ""
    nodes: int = 0
    infeasible_rows: list[str] | None = None  # names of an irreducible infeasible subset
    infeasible_columns: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class SearchStarted(RunMessage):
    """The neighbourhood search has its first solution."""

    TYPE: ClassVar[str] = "search-started"

    objective: float  # minimised sense
    heuristic: str


@dataclass(frozen=True, kw_only=True)
class Iterated(RunMessage):
    """An arm of the neighbourhood search had its turn."""

    TYPE: ClassVar[str] = "iterated"


@dataclass(frozen=True, kw_only=True)
class Statistics(RunMessage):
    """Figures of the neighbourhood search so far."""

    TYPE: ClassVar[str] = "statistics"

    arms: dict[str, dict[str, Any]]  # by arm: calls, improvements, seconds, size
    solver_seconds: float  # inside sub-MIPs and LPs


@dataclass(frozen=True, kw_only=True)
class Note(RunMessage):
    """A sentence for the notes of the result."""

    TYPE: ClassVar[str] = "note"

    text: str


RUN_MESSAGES: Vocabulary[RunMessage] = Vocabulary(
    NewIncumbent, EngineEnded, SearchStarted, Iterated, Statistics, Note
)

Send = Callable[[RunMessage], None]
Work = Callable[[Send], None]
"""The work of a process; it ends when the function returns."""

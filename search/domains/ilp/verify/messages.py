"""Messages between the checker and its process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from search.domains.ilp.tagged import Tagged, Vocabulary


class Command(Tagged):
    """Base of the messages to the process."""


@dataclass(frozen=True, kw_only=True)
class Compare(Command):
    """Compare the exact reading with HiGHS' reading, a model file, and delete that file."""

    TYPE: ClassVar[str] = "compare"

    path: str
    scalars: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Check(Command):
    """Check the values in a JSON file."""

    TYPE: ClassVar[str] = "check"

    path: str
    claimed: float | None


@dataclass(frozen=True, kw_only=True)
class Prove(Command):
    """Prove that nothing beats the values in a JSON file, or that there is no solution.

    A better point is written over the values.
    """

    TYPE: ClassVar[str] = "prove"

    path: str
    has_incumbent: bool
    seconds: float


class Answer(Tagged):
    """Base of the messages from the process."""


@dataclass(frozen=True, kw_only=True)
class Compared(Answer):
    """Both readings agree."""

    TYPE: ClassVar[str] = "compared"


@dataclass(frozen=True, kw_only=True)
class Refused(Answer):
    """The file is refused; the process ends."""

    TYPE: ClassVar[str] = "refused"

    reason: str


@dataclass(frozen=True, kw_only=True)
class Checked(Answer):
    """Result of `Check`."""

    TYPE: ClassVar[str] = "checked"

    verification: str  # a Verification as JSON


@dataclass(frozen=True, kw_only=True)
class ProofEnded(Answer):
    """Result of `Prove`."""

    TYPE: ClassVar[str] = "proof-ended"

    claim: str  # a value of solvers.exact.prove.Claim
    bound: float | None  # in the user's sense
    nodes: int
    has_point: bool  # a better point was written


COMMANDS: Vocabulary[Command] = Vocabulary(Compare, Check, Prove)
ANSWERS: Vocabulary[Answer] = Vocabulary(Compared, Refused, Checked, ProofEnded)

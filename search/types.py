"""Types common to all kinds of search: `Domain`, `SearchOutcome` and files of a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from trimtab.results import Incumbent, Reason, RunResult, Termination, Verification

if TYPE_CHECKING:
    import numpy as np

    from search.model_files import ModelOffer
    from search.rest import Rest
    from search.stop import StoppingCriterion
    from trimtab.specs.common import Spec

__all__ = [
    "Domain",
    "Extra",
    "HasBaseline",
    "Incumbent",
    "InvalidInput",
    "Produced",
    "ProvesByBound",
    "RunResult",
    "SearchOutcome",
    "Termination",
    "Verification",
]


class InvalidInput(Exception):
    """The input cannot be read or is contradictory.

    The message names the field, what was expected, what it got, and a remedy.
    """

    reason = Reason.INVALID_INPUT


@dataclass(frozen=True, kw_only=True)
class Produced:
    """A file that a run leaves for its owner."""

    name: str  # displayed name, e.g. "solution.sol"; without path separators
    path: Path  # inside the run's work folder
    media_type: str = "application/octet-stream"
    alt: str = ""  # of a picture, for readers who do not see it


@dataclass(frozen=True, kw_only=True)
class Extra:
    """A file that decorates a result (curve, table, picture); the result does not depend on it."""

    name: str  # as Produced.name
    # Writes the file; an exception drops it and leaves a note.
    write: Callable[[Path], object]
    media_type: str = "application/octet-stream"
    alt: str = ""  # as Produced.alt


@dataclass(frozen=True, kw_only=True)
class SearchOutcome:
    """The claims of a search. The pipeline turns them into a RunResult after `verify`."""

    termination: Termination
    solution: Any | None  # domain-specific; None when the search has none
    objective: float | None
    bound: float | None
    sense: str = "minimize"
    summary: Mapping[str, Any] = field(default_factory=dict)
    # File → sha256, of those used.
    weights: Mapping[str, str] = field(default_factory=dict)
    # Set: the run goes to rest instead of ending, and nothing is verified or produced.
    rest: Rest | None = None


class OnIncumbent(Protocol):
    """Receives each new incumbent, with its solution if there is one."""

    def __call__(
        self, incumbent: Incumbent, solution: Callable[[], Any] | None = None, /
    ) -> None:
        """Report an incumbent.

        solution: returns it as `Domain.verify` takes it. It is called at once or later, in another
            thread, and must not read anything that still changes.
        """
        ...


OnPhase = Callable[[str, str], None]  # (phase, detail)

SpecT = TypeVar("SpecT", bound="Spec", contravariant=True)
ProblemT = TypeVar("ProblemT")
EncodingT = TypeVar("EncodingT")


class Domain(Protocol[SpecT, ProblemT, EncodingT]):
    """One kind of job. Models, policies and solvers are arguments of its constructor.

    An optional attribute `packages` names the packages whose versions belong into the result.
    """

    def parse(self, spec: SpecT, inputs: Mapping[str, Path], workdir: Path) -> ProblemT:
        """Read the spec and its files. Raises InvalidInput.

        inputs: files by the names of `spec.artifacts()`.
        """
        ...

    def encode(self, problem: ProblemT) -> EncodingT:
        """Compute what the search needs once: features, graphs, relaxations."""
        ...

    def search(
        self,
        problem: ProblemT,
        encoding: EncodingT,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: Any | None = None,
    ) -> SearchOutcome:
        """Search until `stop` returns True; report each better solution through `on_incumbent`.

        start: solution that an earlier attempt at the same job reported, to begin from. It is
        passed
            only when there is one.
        """
        ...

    def verify(self, problem: ProblemT, solution: Any) -> Verification:
        """Check `solution` against the problem's original input, without code of the search."""
        ...

    def produce(
        self, problem: ProblemT, solution: Any, workdir: Path
    ) -> Sequence[Produced | Extra]:
        """Write the files that are the result; return them and those that decorate it.

        The pipeline writes the latter afterwards.
        """
        ...

    def keep(self, problem: ProblemT, solution: Any) -> bytes:
        """Serialise a reported solution for `restore` in another process, without pickle."""
        ...

    def restore(self, problem: ProblemT, data: bytes) -> SearchOutcome:
        """Rebuild a serialised solution as an outcome with objective, sense and summary.

        `data` comes from a process that may have been taken over: raise ValueError, KeyError or
        TypeError on any doubt.
        """
        ...


@runtime_checkable
class TakesModels(Protocol):
    """A domain that can use fitted models; its spec has `MODELS = True`."""

    def take_models(self, offer: ModelOffer) -> None:
        """Receive the registered models of a job, before `parse`."""
        ...


Announce = Callable[[str], None]
"""Takes what a run waits for within its phase."""


@runtime_checkable
class AnnouncesWaits(Protocol):
    """A domain that reports what it waits for, when nothing else shows that the run goes on."""

    def announce_to(self, announce: Announce) -> None:
        """Receive the function that reports a wait, before `parse`."""
        ...


@runtime_checkable
class ShowsIncumbents(Protocol):
    """A domain whose owner can download the newest incumbent while the run goes on."""

    def show(self, problem: Any, solution: Any) -> bytes:
        """Return a reported solution as the JSON document that its owner reads."""
        ...


@runtime_checkable
class ProvesByBound(Protocol):
    """A domain in which a solution is optimal where the bound of its run meets it."""

    def with_bound(
        self, problem: Any, outcome: SearchOutcome, bound: float
    ) -> SearchOutcome:
        """Return a restored outcome with the bound of the run that reported it, as far as it holds.

        OPTIMAL where bound and objective meet, by the tolerance of `search`.
        """
        ...


@runtime_checkable
class HasBaseline(Protocol):
    """A domain that has an answer without a search; its row in KINDS has `baseline=True`."""

    def baseline(self, problem: Any) -> SearchOutcome | None:
        """Return an answer for a run that died before it reported any; None when there is none."""
        ...

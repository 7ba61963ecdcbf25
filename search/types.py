"""The types every search shares. No HTTP, SQL or Ray below this line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from trimtab.results import Incumbent, Reason, RunResult, Termination, Verification

if TYPE_CHECKING:
    import numpy as np

    from search.stop import StoppingCriterion
    from trimtab.specs.common import Spec

__all__ = [
    "Domain",
    "Extra",
    "HasBaseline",
    "Incumbent",
    "InvalidInput",
    "Produced",
    "RunResult",
    "SearchOutcome",
    "Termination",
    "Verification",
]


class InvalidInput(Exception):
    """The input cannot be read or makes no sense. The message shows what came, what was wanted, what to do."""

    reason = Reason.INVALID_INPUT


@dataclass(frozen=True, kw_only=True)
class Produced:
    """A file a run leaves for its owner."""

    name: str  # shown name, e.g. "solution.sol"; no path separators
    path: Path  # where the run wrote it, inside its work folder
    media_type: str = "application/octet-stream"


@dataclass(frozen=True, kw_only=True)
class Extra:
    """A file that decorates a result (curve, table, picture). When it cannot be written, the result goes without it."""

    name: str  # as Produced.name
    write: Callable[
        [Path], object
    ]  # writes the file; whatever it raises drops the file and leaves a note
    media_type: str = "application/octet-stream"


@dataclass(frozen=True, kw_only=True)
class SearchOutcome:
    """What a search believes. The pipeline turns it into a RunResult after `verify` had its say."""

    termination: Termination
    solution: Any | None  # domain-specific; None when none was found
    objective: float | None
    bound: float | None
    sense: str = "minimize"
    summary: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str] = field(
        default_factory=dict
    )  # sha256 of each weights file used


class OnIncumbent(Protocol):
    """Takes each new incumbent, and where there is one its solution, as `Domain.verify` takes it."""

    def __call__(
        self, incumbent: Incumbent, solution: Callable[[], Any] | None = None, /
    ) -> None:
        """`solution` is called at once or a little later, in another thread: it must not look at what still changes."""
        ...


OnPhase = Callable[[str, str], None]  # (phase, detail)

SpecT = TypeVar("SpecT", bound="Spec", contravariant=True)
ProblemT = TypeVar("ProblemT")
EncodingT = TypeVar("EncodingT")


class Domain(Protocol[SpecT, ProblemT, EncodingT]):
    """One kind of job. Parts it needs (models, policies, solvers) are arguments of its constructor."""

    def parse(self, spec: SpecT, inputs: Mapping[str, Path], workdir: Path) -> ProblemT:
        """Read the spec and its files. Raises InvalidInput. `inputs` maps the names of `spec.artifacts()` to files."""
        ...

    def encode(self, problem: ProblemT) -> EncodingT:
        """Features, graphs, relaxations: whatever the search wants computed once."""
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
        """Search until `stop` says so; report each better solution through `on_incumbent` at once, with its solution.

        `start` is a solution that an earlier attempt at the same job had reported, to begin from.
        """
        ...

    def verify(self, problem: ProblemT, solution: Any) -> Verification:
        """Check `solution` from the problem's original input alone; shares no code with the search."""
        ...

    def produce(
        self, problem: ProblemT, solution: Any, workdir: Path
    ) -> Sequence[Produced | Extra]:
        """Write the files that are the result, and name those that decorate it, which are written afterwards."""
        ...

    def keep(self, problem: ProblemT, solution: Any) -> bytes:
        """Serialise a reported solution, without pickle: `restore` reads it in another process."""
        ...

    def restore(self, problem: ProblemT, data: bytes) -> SearchOutcome:
        """Rebuild a kept solution as an outcome: solution, claimed objective, sense and the summary that can be told.

        `data` comes from a process that may have been taken over: raise ValueError, KeyError or
        TypeError on any doubt.
        """
        ...


@runtime_checkable
class HasBaseline(Protocol):
    """A domain that has an answer without a search; its row in KINDS says so too."""

    def baseline(self, problem: Any) -> SearchOutcome | None:
        """An answer at hand, for a run that died before it reported any; None when this problem has none."""
        ...

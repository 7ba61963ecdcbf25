"""The types every search shares. No HTTP, SQL or Ray below this line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from trimtab.results import Incumbent, Reason, RunResult, Termination, Verification

if TYPE_CHECKING:
    import numpy as np

    from search.stop import StoppingCriterion
    from trimtab.specs.common import Spec

__all__ = [
    "Domain",
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
class SearchOutcome:
    """What a search believes. The pipeline turns it into a RunResult after `verify` had its say."""

    termination: Termination
    solution: Any | None  # domain-specific; None when none was found
    objective: float | None
    bound: float | None
    sense: str = "minimize"
    summary: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)  # sha256 of each weights file used


OnIncumbent = Callable[[Incumbent], None]
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
    ) -> SearchOutcome:
        """Look for better solutions until `stop` says so; report each through `on_incumbent` at once."""
        ...

    def verify(self, problem: ProblemT, solution: Any) -> Verification:
        """Check `solution` from the problem's original input alone; shares no code with the search."""
        ...

    def produce(self, problem: ProblemT, solution: Any, workdir: Path) -> list[Produced]:
        """Write the files the owner gets (solution, plan, plots)."""
        ...

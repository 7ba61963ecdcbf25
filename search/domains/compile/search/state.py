"""State that the modes of one search share: program, oracle, incumbents, clock and budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from search.domains.compile.encode import Prepared
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.search.behaviour import BehaviourOracle
from search.domains.compile.search.fitted import FittedCoreset
from search.domains.compile.search.incumbents import Incumbents
from search.stop import StoppingCriterion
from solvers.llvm.types import Measured
from trimtab.specs.compile import Tier


@dataclass(kw_only=True)
class SearchState:
    """One search of one program."""

    problem: CompileProblem
    prepared: Prepared
    oracle: BehaviourOracle
    incumbents: Incumbents
    stop: StoppingCriterion
    rng: np.random.Generator
    reserve_s: float = 0.0  # kept for the check of the answer
    fitted: FittedCoreset | None = None  # tried before the shipped coreset

    @property
    def experimental(self) -> bool:
        """True when passes and options outside LLVM's default pipelines are allowed."""
        return self.problem.spec.tier is Tier.EXPERIMENTAL

    @property
    def left_s(self) -> float:
        """Seconds left for the search."""
        return self.stop.remaining_s() - self.reserve_s

    def over(self) -> bool:
        """Tell whether the search has to end."""
        return self.stop(None) or self.left_s <= 0

    @property
    def evaluations_left(self) -> int | None:
        """Evaluations left; None when they are not limited."""
        return self.stop.evaluations_left()

    @property
    def spend(self) -> Callable[[int], object]:
        """Function that counts evaluations against the budget."""
        return self.stop.spend


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Candidates that a mode tried besides LLVM's levels."""

    table: tuple[tuple[str, Measured], ...] = ()
    count: int = 0  # number of candidates where `table` does not have all
    policy: str = "not used"  # how their order was decided
    weights: Mapping[str, str] = field(default_factory=dict)  # published file → sha256

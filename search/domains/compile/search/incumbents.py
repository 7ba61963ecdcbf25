"""Incumbents of the search: accept smaller candidates whose programs behave the same.

Only a candidate that would be the new incumbent is built, linked and run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from search.domains.compile.answer import Quarantined
from search.domains.compile.search.behaviour import BehaviourOracle
from solvers.llvm.engine import Built, CandidateFailed, Engine
from solvers.llvm.types import Measured, Metric, Outcome


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """Candidate whose program behaves the same, or cannot be run at all."""

    name: str
    value: float  # of the metric
    built: Built


@dataclass
class Incumbents:
    """Gate for measured candidates; `best` is the incumbent, `quarantined` the miscompiled ones."""

    engine: Engine
    oracle: BehaviourOracle
    metric: Metric
    build_id: str
    report: Callable[[Accepted], None]  # called with each new incumbent
    best: Accepted | None = None
    # Measured.program → built before.
    built: Mapping[str, Built] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    # Measured.program of quarantined ones.
    _differing: set[str] = field(default_factory=set)

    def reset(self) -> None:
        """Forget the incumbent and what is in quarantine."""
        self.best = None
        self.quarantined.clear()
        self._differing.clear()

    def offer(self, name: str, measured: Measured) -> bool:
        """Accept a candidate only if it is smaller; True when it becomes the incumbent."""
        if self.best is not None and value_of(measured, self.metric) >= self.best.value:
            return False
        return self.accept(name, measured)

    def accept(self, name: str, measured: Measured) -> bool:
        """Accept a candidate of any size whose program behaves the same.

        It becomes the incumbent if it is smaller. For a search that continues from a program larger
        than the incumbent. A candidate that behaves differently is quarantined.
        """
        usable = measured.outcome is Outcome.OK and measured.sizes is not None
        if not usable or measured.program in self._differing:
            return False
        value = value_of(measured, self.metric)
        try:
            built = self.built.get(measured.program) or self.engine.build(measured.recipe)
        except CandidateFailed:
            return False  # it compiled once and then failed: not reproducible
        verdict = self.oracle.compare(built.object)
        if verdict.stopped:
            return False
        if not verdict.equal:
            self._differing.add(measured.program)
            self.quarantined.append(
                Quarantined(
                    build_id=self.build_id,
                    name=name,
                    recipe=measured.recipe,
                    objective=value,
                    why=verdict.detail,
                )
            )
            return False
        if self.best is None or value < self.best.value:
            self.best = Accepted(name=name, value=value, built=built)
            self.report(self.best)
        return True


def value_of(measured: Measured, metric: Metric) -> float:
    """Return the metric of a measured candidate; infinity when it failed."""
    return float(measured.sizes.of(metric)) if measured.sizes is not None else math.inf

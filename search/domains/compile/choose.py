"""Keeps the best candidate that behaves. Only one that would be the new best is built, linked and run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from search.domains.compile.quarantine import Quarantined
from search.domains.compile.runs import Judge
from solvers.llvm.engine import Built, CandidateFailed, Engine
from solvers.llvm.types import Measured, Metric, Outcome


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A candidate that was run and behaved, or could not be run at all."""

    name: str
    value: float  # of the metric
    built: Built


@dataclass
class Chooser:
    """`offer` each candidate that was measured; `best` is the answer so far."""

    engine: Engine
    judge: Judge
    metric: Metric
    build_id: str
    tell: Callable[[Chosen], None]
    best: Chosen | None = None
    quarantined: list[Quarantined] = field(default_factory=list)
    _differ: set[str] = field(default_factory=set)  # programs that behaved otherwise

    def offer(self, name: str, measured: Measured) -> bool:
        """True when it is the new best. False also when it would be and behaves otherwise: it is then in quarantine."""
        if measured.outcome is not Outcome.OK or measured.sizes is None or measured.program in self._differ:
            return False
        value = float(measured.sizes.of(self.metric))
        if self.best is not None and value >= self.best.value:
            return False
        try:
            built = self.engine.build(measured.recipe)
        except CandidateFailed:
            return False  # what came through once and then not is no answer
        verdict = self.judge.ask(built.object)
        if not verdict.equal:
            if verdict.stopped:
                return False
            self._differ.add(measured.program)
            self.quarantined.append(
                Quarantined(
                    build_id=self.build_id, name=name, recipe=measured.recipe, objective=value, why=verdict.detail
                )
            )
            return False
        self.best = Chosen(name=name, value=value, built=built)
        self.tell(self.best)
        return True

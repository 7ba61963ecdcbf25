"""Keeps the best candidate that behaves. Only one that would be the new best is built, linked and run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from search.domains.compile.search.behaviour import Judge
from search.domains.compile.search.quarantine import Quarantined
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
    ready: Mapping[str, Built] = field(
        default_factory=dict
    )  # by Measured.program: what has been built already
    quarantined: list[Quarantined] = field(default_factory=list)
    _differ: set[str] = field(default_factory=set)  # programs that behaved otherwise

    def offer(self, name: str, measured: Measured) -> bool:
        """True when it is the new best. False also when it would be and behaves otherwise: it is then in quarantine."""
        if self.best is not None and self._value(measured) >= self.best.value:
            return False
        return self.accept(name, measured)

    def accept(self, name: str, measured: Measured) -> bool:
        """True when it behaves; it is the new best if it is smaller, too. For searches that go on from a larger program."""
        if (
            measured.outcome is not Outcome.OK
            or measured.sizes is None
            or measured.program in self._differ
        ):
            return False
        value = self._value(measured)
        try:
            built = self.ready.get(measured.program) or self.engine.build(measured.recipe)
        except CandidateFailed:
            return False  # what came through once and then not is no answer
        verdict = self.judge.ask(built.object)
        if not verdict.equal:
            if verdict.stopped:
                return False
            self._differ.add(measured.program)
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
            self.best = Chosen(name=name, value=value, built=built)
            self.tell(self.best)
        return True

    def _value(self, measured: Measured) -> float:
        return (
            float(measured.sizes.of(self.metric))
            if measured.sizes is not None
            else math.inf
        )

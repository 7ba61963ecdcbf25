"""State of a run: incumbent, bound, and what its processes reported."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from search.domains.ilp.search.messages import EngineEnded, SearchStarted, Statistics
from search.domains.ilp.search.slots import IncumbentSlot
from search.trace import relative_gap
from solvers.types import Floats, MilpModel
from trimtab.results import Incumbent

# Relative; smaller than the default of engines, so that "optimal" means this.
PROOF_GAP = 1e-6
_CUTOFF_SLACK = 1e-9  # relative
ABSOLUTE_GAP = 1e-9  # of the scaled objective, whose costs are near 1: for optima of 0


@dataclass
class RunState:
    """Incumbent and bound in the minimised sense, and the reports of the processes."""

    objective: float = math.inf
    cutoff: float = math.inf  # solutions that are not better are not taken over
    x: Floats | None = None
    source: str = ""  # of the incumbent
    bound: float = -math.inf
    bound_by: str = ""
    floor: float = -math.inf  # a bound before there is another: `bound_of_columns`
    lns_source: str = "lns:start"  # of the newest solution in the LNS slot
    lns_start: SearchStarted | None = None
    lns_iterations: int = 0
    lns_statistics: Statistics | None = None
    lns_ended: bool = False
    engine_end: EngineEnded | None = None
    notes: list[str] = field(default_factory=list)

    def read(self, slot: IncumbentSlot, source: str) -> bool:
        """Take over a better solution of a slot; return True if there was one."""
        better = slot.better_than(min(self.objective, self.cutoff))
        if better is None:
            return False
        self.objective, self.x = better
        self.source = source
        return True

    def closed(self) -> bool:
        """Return True if incumbent and bound meet within the gap of a proof.

        A bound beyond the incumbent proves nothing.
        """
        if self.x is None:
            return False
        return abs(self.objective - self.bound) <= _allowed_gap(self.objective)

    def contradicts(self) -> bool:
        """Return True if the incumbent is better than the bound allows: one of the two is wrong."""
        overshoot = self.bound - self.objective
        return self.x is not None and overshoot > _allowed_gap(self.objective)

    def reported_bound(self) -> float:
        """Return the bound; the floor while neither an engine nor the root LP has one.

        A solution may lie below the floor by the tolerance of its columns: then there is no bound.
        """
        if math.isfinite(self.bound) or self.floor > self.objective:
            return self.bound
        return self.floor

    def point(self, model: MilpModel) -> Incumbent:
        """Return incumbent and bound of this moment, in the user's sense."""
        objective = in_user_sense(model, self.objective)
        bound = in_user_sense(model, self.reported_bound())
        return Incumbent(
            elapsed_s=0.0,  # the pipeline fills in its own clock
            objective=objective,
            bound=bound,
            gap=relative_gap(objective, bound),
            source=self.source,
        )


def bound_of_columns(model: MilpModel) -> float:
    """Return the least objective within the columns' bounds, in the minimised sense.

    It is -inf where a column with costs is unbounded in that direction, and where the objective or
    the bounds are not all (quadratic costs, semi-continuous columns).
    """
    if model.extras is not None:
        return -math.inf
    costs = np.flatnonzero(model.c)
    c = model.c[costs]
    best = np.where(c > 0, model.col_lower[costs], model.col_upper[costs])
    return float(c @ best) + model.offset if np.isfinite(best).all() else -math.inf


def cutoff_of(
    model: MilpModel, cutoff: float | None, *, slack: float = _CUTOFF_SLACK
) -> float:
    """Return the user's cutoff in the minimised sense; solutions must be below it.

    The user's solutions may equal it: it is relaxed by `slack` of its size, at least of 1. So
    `model` is the scaled one, whose costs are near 1.
    """
    if cutoff is None:
        return math.inf
    inner = model.from_user_sense(cutoff)
    return inner + slack * max(1.0, abs(inner))


def in_user_sense(model: MilpModel, value: float) -> float | None:
    """Return an objective or bound in the user's sense; None while infinite."""
    return model.in_user_sense(value) + 0.0 if math.isfinite(value) else None


def _allowed_gap(objective: float) -> float:
    return max(ABSOLUTE_GAP, PROOF_GAP * abs(objective))

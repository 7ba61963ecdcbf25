"""Observer of the neighbourhood search: hooks that connect it to the rest of a run."""

from __future__ import annotations

from dataclasses import dataclass

from solvers.types import Bools, Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Repair:
    """One destroy and repair. Shapes: (n,)."""

    arm: str
    before: Floats  # the incumbent
    free: Bools
    proved: bool  # no better solution in the neighbourhood than `after`, or than `before`
    after: Floats | None  # the better solution; None when there was none


class LnsObserver:
    """Base class whose methods do nothing: override those that a run needs."""

    def on_improvement(self, objective: float, x: Floats, source: str) -> None:
        """Receive a better solution x (n,) and the name of what found it."""

    def on_iteration(self) -> None:
        """Receive control after each turn of an arm."""

    def on_repair(self, step: Repair) -> None:
        """Receive each destroy and repair; a turn may have several."""

    def better_elsewhere(self, objective: float) -> tuple[float, Floats] | None:
        """Return (objective, x) of a better solution from outside the search."""
        return None

    def late_start(self) -> Floats | None:
        """Return a late start solution (n,); called before each turn."""
        return None

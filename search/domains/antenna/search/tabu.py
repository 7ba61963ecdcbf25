"""Tabu search over exact neighbourhoods.

Every step scores all neighbours of the present design (Glover, ORSA J. Computing 1, 1989) and goes
to the best one, better or not, that changes no cell of the last few steps. The neighbours' scores
are exact and cost a thousandth of a solve each, so the choice is by steepest ascent instead of by
trial. After `patience` steps without progress the search restarts, from one of the best designs
with parts of it changed or from the best of a few random ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.search.layouts import Layouts
from search.domains.antenna.search.learned import Learned
from search.domains.antenna.search.neighbourhood import Neighbourhood

_CONFIRMED = 4  # neighbours whose efficiency is computed, when a floor is asked for


class Tabu:
    """State of one walk. `step` proposes neighbours, `take` goes to the best of them."""

    tenure, patience = 8, 40

    def __init__(
        self,
        neighbourhood: Neighbourhood,
        layouts: Layouts,
        rng: np.random.Generator,
        *,
        width: int = 1,
    ) -> None:
        self._neighbourhood, self._layouts, self._rng = neighbourhood, layouts, rng
        self._width = width
        self.idle = 0
        self.best_db = -np.inf  # guide of this walk
        self._present: Design | None = None
        self._steps = 0
        self._changed: NDArray[np.intp] = np.zeros((0, 0), np.intp)
        self._visited: set[bytes] = set()

    @property
    def ended(self) -> bool:
        """Return whether the walk makes no more progress."""
        return self._present is None or self.idle > self.patience

    def begin(self, design: Design, guide_db: float) -> None:
        """Start a walk."""
        self._changed = np.full(design.mask.shape, -self.tenure - 1)
        self._steps, self.idle, self.best_db = 0, 0, guide_db
        self._visited = {design.key}
        self._present = design
        self._neighbourhood.move(design)

    def step(self) -> list[tuple[Design, float, float]]:
        """Return the neighbours to try with margin and guide, best first; none: a dead end."""
        assert self._present is not None
        near = self._layouts.neighbours(self._present, self._rng)
        near = [design for design in near if design.key not in self._visited]
        if not near:
            self._present = None
            return []
        margins, guides = self._neighbourhood.guides(near)
        flipped = np.array([design.mask for design in near]) ^ self._present.mask
        recent = (flipped & (self._steps - self._changed < self.tenure)).any(axis=(1, 2))
        barred = recent & (guides <= self.best_db)
        order = np.lexsort((-guides, barred))
        return [
            (near[i], float(margins[i]), float(guides[i]))
            for i in map(int, order[: self._width])
        ]

    def take(self, design: Design, guide_db: float) -> None:
        """Go to a neighbour."""
        assert self._present is not None
        self._steps += 1
        self._changed[design.mask ^ self._present.mask] = self._steps
        self._visited.add(design.key)
        better = guide_db > self.best_db + 1e-6
        self.idle = 0 if better else self.idle + 1
        self.best_db = max(self.best_db, guide_db)
        self._present = design
        self._neighbourhood.move(design)


class TabuSearch:
    """Tabu search from many starts, behind the protocol of all methods."""

    starts, fresh, elite, changes = 60, 10, 6, 6
    screened = 6  # starts that the surrogate compares for each one it passes on

    def __init__(
        self,
        neighbourhood: Neighbourhood,
        layouts: Layouts,
        rng: np.random.Generator,
        *,
        efficiency: bool,
        screen: Learned | None = None,
    ) -> None:
        self._layouts, self._rng = layouts, rng
        self._screen = screen
        width = _CONFIRMED if efficiency else 1
        self._walk = Tabu(neighbourhood, layouts, rng, width=width)
        self._wanted = self.starts  # random designs that are still to be scored
        self._random: list[tuple[float, Design]] = []
        self._best: list[tuple[float, Design]] = []
        self._of_walk: tuple[float, Design] | None = None

    def ask(self, count: int) -> list[Design]:
        """Return random designs to start from, or the next neighbour."""
        if self._wanted:
            return self._starts(min(count, self._wanted))
        if proposed := self._walk.step():
            return [design for design, _, _ in proposed]
        self._restart()
        return self.ask(count)

    def tell(self, designs: Sequence[Design], scores: Sequence[float]) -> None:
        """Begin a walk, or go on with it."""
        if self._wanted:
            self._random += zip(scores, designs, strict=True)
            self._wanted = max(0, self._wanted - len(designs))
            if not self._wanted:
                guide, design = max(self._random, key=lambda row: row[0])
                self._random = []
                self._walk.begin(design, guide)
                self._of_walk = None
            return
        guide, design = max(zip(scores, designs, strict=True), key=lambda row: row[0])
        self._walk.take(design, guide)
        if self._of_walk is None or guide > self._of_walk[0]:
            self._of_walk = (guide, design)
        if self._walk.ended:
            self._restart()

    def _restart(self) -> None:
        """Keep the walk's best design, and draw designs to start the next walk from."""
        if self._of_walk is not None:
            keys = {design.key for _, design in self._best}
            if self._of_walk[1].key not in keys:
                self._best = sorted([*self._best, self._of_walk], key=lambda row: -row[0])
                self._best = self._best[: self.elite]
        self._wanted = self.fresh

    def _starts(self, count: int) -> list[Design]:
        """Return starts; with a surrogate, the best of many more by its prediction."""
        if self._screen is None:
            return [self._start() for _ in range(count)]
        many = [self._start() for _ in range(self.screened * count)]
        order = np.argsort(-self._screen.guides(many)[1])
        return [many[i] for i in order[:count]]

    def _start(self) -> Design:
        """Return a random design, or one of the best with parts of it changed."""
        if not self._best or self._rng.random() < 0.5:
            return self._layouts.random(self._rng)
        design = self._best[int(self._rng.integers(len(self._best)))][1]
        for _ in range(int(self._rng.integers(2, self.changes + 1))):
            design = self._layouts.mutate(design, self._rng)
        return design

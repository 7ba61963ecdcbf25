"""A search method whose designs a surrogate scores; the best distinct ones go to the solver."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search.domains.antenna.design import Design
from search.domains.antenna.search.learned import Learned
from search.domains.antenna.search.searcher import Searcher

_APART = 4  # cells in which designs of one batch differ, at least
_KEPT = 400


class Screened:
    """Runs another method on predictions, and asks for what it finds there.

    After every `relearn` solved designs a copy of the surrogate is fine-tuned on all of them, and
    the pool is scored anew.
    """

    predictions, batch = 192, 16  # before each batch of solves; at once
    relearn, steps = 40, 60

    def __init__(
        self, inner: Searcher, learned: Learned, rng: np.random.Generator
    ) -> None:
        self._inner, self._learned, self._rng = inner, learned, rng
        self._pool: list[tuple[float, Design]] = []
        self._asked: set[bytes] = set()

    def ask(self, count: int) -> list[Design]:
        """Return the best distinct designs by prediction."""
        until = self._learned.predicted + self.predictions
        while self._learned.predicted < until:
            designs = self._inner.ask(self.batch)
            _, guides = self._learned.guides(designs)
            self._inner.tell(designs, guides.tolist())
            self._add(designs, guides.tolist())
        chosen: list[Design] = []
        for _, design in self._pool:
            if len(chosen) == count:
                break
            if all(int((design.mask ^ other.mask).sum()) >= _APART for other in chosen):
                chosen.append(design)
        if not chosen:
            chosen = self._inner.ask(1)
            _, guides = self._learned.guides(chosen)
            self._inner.tell(chosen, guides.tolist())
        self._asked |= {design.key for design in chosen}
        self._pool = [row for row in self._pool if row[1].key not in self._asked]
        return chosen

    def tell(self, designs: Sequence[Design], scores: Sequence[float]) -> None:
        """Learn from the solved designs when there are enough."""
        learnt = self._learned.learn(self._rng, after=self.relearn, steps=self.steps)
        if learnt and self._pool:
            pool = [design for _, design in self._pool]
            self._pool = []
            self._add(pool, self._learned.guides(pool)[1].tolist())

    def _add(self, designs: Sequence[Design], guides: Sequence[float]) -> None:
        keys = self._asked | {design.key for _, design in self._pool}
        for design, guide in zip(designs, guides, strict=True):
            if design.key not in keys:
                keys.add(design.key)
                self._pool.append((float(guide), design))
        self._pool = sorted(self._pool, key=lambda row: -row[0])[:_KEPT]

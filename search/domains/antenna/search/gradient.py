"""Gradients through the surrogate: relaxed metal, projected to legal designs.

Each cell holds an amount of metal m = σ(x). A walk climbs by Adam the surrogate's loss of the whole
band (a soft maximum over its frequencies), with noise that falls, and is pushed towards 0 and 1 by
a projection that grows steeper (tanh, as in density-based topology optimisation: Wang, Lazarov and
Sigmund, Struct. Multidisc. Optim. 43, 2011). Its legal projections are what the solver is asked
for; the best of them are where the next walks begin.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.search.layouts import Layouts
from search.domains.antenna.search.learned import Learned
from search.domains.antenna.search.legalise import Rules

Real = NDArray[np.float64]
_DECAYS = 0.9, 0.99


class GradientSearch:
    """Batches of walks through the surrogate. Each `ask` runs one batch, then returns its ends."""

    walks, steps, rate, noise = 8, 20, 0.35, 0.3
    softness = 1.5  # of the metal at the start of a walk: |x| of a cell
    steepest = 6.0  # projection at the end
    elite = 8

    def __init__(
        self, learned: Learned, rules: Rules, layouts: Layouts, rng: np.random.Generator
    ) -> None:
        self._learned, self._rules, self._layouts = learned, rules, layouts
        self._rng = rng
        self._waiting: list[Design] = []
        self._best: list[tuple[float, Design]] = []
        self._seen: set[bytes] = set()

    def ask(self, count: int) -> list[Design]:
        """Return legal designs at the ends of walks."""
        if not self._waiting:
            self._waiting = self._walked([self._start() for _ in range(self.walks)])
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def tell(self, designs: Sequence[Design], scores: Sequence[float]) -> None:
        """Keep the best designs as starts."""
        keys = {design.key for _, design in self._best}
        rows = [
            (score, design)
            for score, design in zip(scores, designs, strict=True)
            if design.key not in keys
        ]
        merged = sorted([*self._best, *rows], key=lambda row: -row[0])
        self._best = merged[: self.elite]

    def _start(self) -> Design:
        if not self._best or self._rng.random() < 0.4:
            return self._layouts.random(self._rng)
        design = self._best[int(self._rng.integers(len(self._best)))][1]
        for _ in range(int(self._rng.integers(1, 4))):
            design = self._layouts.mutate(design, self._rng)
        return design

    def _walked(self, starts: Sequence[Design]) -> list[Design]:
        """Return the distinct legal ends of walks; the starts' feeds and vias stay."""
        x = self.softness * (2.0 * np.array([start.mask for start in starts]) - 1)
        feeds = [start.feed for start in starts]
        mean, square = np.zeros_like(x), np.zeros_like(x)
        first, second = _DECAYS
        for step in range(self.steps):
            share = step / self.steps
            steep = 1 + (self.steepest - 1) * share
            metal = (1 + np.tanh(steep * x / 2)) / 2
            slopes = np.concatenate(
                [
                    self._learned.slopes(metal[k : k + 1], feeds[k])[1]
                    for k in range(len(starts))
                ]
                if len(set(feeds)) > 1
                else [self._learned.slopes(metal, feeds[0])[1]]
            )
            slopes = slopes * steep * metal * (1 - metal)
            mean += (1 - first) * (slopes - mean)
            square += (1 - second) * (slopes**2 - square)
            scale = np.sqrt(square / (1 - second ** (step + 1))) + 1e-9
            x -= self.rate * mean / (1 - first ** (step + 1)) / scale
            x += self.noise * (1 - share) ** 2 * self._rng.standard_normal(x.shape)
        made = [
            Design(mask=metal > 0, feed=start.feed, vias=start.vias)
            for metal, start in zip(x, starts, strict=True)
        ]
        legal = self._rules.legal_many(made)
        fresh = {d.key: d for d in legal if d.key not in self._seen}
        self._seen |= set(fresh)
        return list(fresh.values()) or [self._layouts.random(self._rng)]

"""Which arm next: a discounted bandit on what each arm gained per second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class DiscountedBandit:
    """Picks arms by Thompson-like sampling of a discounted mean reward; an arm that was never tried is tried first.

    Rewards are relative improvements per second; older ones fade by `discount` at every update, because what helps
    early (large, cheap gains) is not what helps late.
    """

    def __init__(self, arms: Sequence[str], *, discount: float = 0.9, explore: float = 0.15) -> None:
        if not arms:
            raise ValueError("a bandit wants at least one arm")
        if not (0 < discount <= 1 and 0 <= explore <= 1):
            raise ValueError(f"bandit wants 0 < discount <= 1 and 0 <= explore <= 1; {discount}, {explore} came")
        self._arms = tuple(arms)
        self._discount = discount
        self._explore = explore
        self._gain = dict.fromkeys(arms, 0.0)
        self._seconds = dict.fromkeys(arms, 0.0)

    def pick(self, rng: np.random.Generator) -> str:
        """The next arm."""
        untried = [arm for arm in self._arms if self._seconds[arm] == 0.0]
        if untried:
            return untried[0]
        if rng.random() < self._explore:
            return str(rng.choice(self._arms))
        rates = np.array([self._gain[arm] / self._seconds[arm] for arm in self._arms])
        if rates.max() <= 0:
            return str(rng.choice(self._arms))
        # A little noise keeps two good arms both in play.
        return self._arms[int(np.argmax(rates * rng.uniform(0.5, 1.5, len(rates))))]

    def update(self, arm: str, *, gain: float, seconds: float) -> None:
        """Tell what `arm` gained in `seconds`."""
        for name in self._arms:
            self._gain[name] *= self._discount
            self._seconds[name] *= self._discount
        self._gain[arm] += max(0.0, gain)
        self._seconds[arm] += max(seconds, 1e-3)

    def rates(self) -> dict[str, float]:
        """Discounted gain per second of each arm."""
        return {arm: self._gain[arm] / self._seconds[arm] if self._seconds[arm] else 0.0 for arm in self._arms}

"""Which arm next: a discounted bandit on what each arm gained per second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

_PRIOR_S = 0.5


class DiscountedBandit:
    """Exploits the arm of the best discounted gain per second; explores the cheaper arms more often.

    Exploring picks an arm with a probability inverse to its seconds a call, so that arms share exploring *time* about evenly: a
    cheap arm whose neighbourhoods are still too small gets the many calls it needs to grow, and a dear one does not eat the
    run. Gains and seconds fade with a half-life, because what helps early (large, cheap gains) is not what helps late.
    """

    def __init__(
        self,
        arms: Sequence[str],
        *,
        half_life_s: float = 4.0,
        explore: float = 0.4,
        expected_s: Mapping[str, float] | None = None,
        prior: Mapping[str, float] | None = None,
    ) -> None:
        """`expected_s`: what a first call may take, by arm; 0.02 s where nothing is said. `prior`: gain per second that an arm
        is credited with before it was called; it weighs as much as half a second of play."""
        if not arms:
            raise ValueError("a bandit wants at least one arm")
        if not (half_life_s > 0 and 0 <= explore <= 1):
            raise ValueError(
                f"bandit wants half_life_s > 0 and 0 <= explore <= 1; {half_life_s}, {explore} came"
            )
        self._arms = tuple(arms)
        self._half_life_s = half_life_s
        self._explore = explore
        self._gain = dict.fromkeys(arms, 0.0)
        self._seconds = dict.fromkeys(arms, 0.0)
        for arm, rate in (prior or {}).items():
            if arm in self._gain:
                self._gain[arm], self._seconds[arm] = _PRIOR_S * rate, _PRIOR_S
        self._per_call = {arm: (expected_s or {}).get(arm, 0.02) for arm in arms}

    @property
    def arms(self) -> tuple[str, ...]:
        """Those that are still in play."""
        return self._arms

    def drop(self, arm: str) -> None:
        """Take an arm out for good; the last one stays."""
        if len(self._arms) > 1:
            self._arms = tuple(name for name in self._arms if name != arm)

    def pick(self, rng: np.random.Generator, among: Sequence[str] | None = None) -> str:
        """The next arm, out of `among` (of all, when nothing is said)."""
        arms = self._arms if among is None else tuple(among)
        rates = np.array([self._gain[arm] / max(1e-9, self._seconds[arm]) for arm in arms])
        if rates.max() > 1e-12 and rng.random() >= self._explore:
            # A little noise keeps two good arms both in play.
            return arms[int(np.argmax(rates * rng.uniform(0.5, 1.5, len(rates))))]
        cheap = np.array([1.0 / (0.02 + self._per_call[arm]) for arm in arms])
        return arms[int(rng.choice(len(cheap), p=cheap / cheap.sum()))]

    def update(self, arm: str, *, gain: float, seconds: float) -> None:
        """Tell what `arm` gained in `seconds`."""
        seconds = max(seconds, 1e-3)
        fade = 0.5 ** (seconds / self._half_life_s)
        for name in self._gain:
            self._gain[name] *= fade
            self._seconds[name] *= fade
        # A failure costs the arm half its credit: what a cheap early arm gained must not carry it through a dry stretch.
        self._gain[arm] = self._gain[arm] + gain if gain > 0 else 0.5 * self._gain[arm]
        self._per_call[arm] = 0.5 * (self._per_call[arm] + seconds)
        self._seconds[arm] += seconds

    def rates(self) -> dict[str, float]:
        """Discounted gain per second of each arm."""
        return {
            arm: self._gain[arm] / self._seconds[arm] if self._seconds[arm] else 0.0
            for arm in self._arms
        }

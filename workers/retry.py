"""Which ends of an attempt are worth another one, and after how long. The dispatcher and batch runs share it.

Back-off with full jitter: a delay drawn from [0, min(cap, base·2ⁿ)], so that jobs lost together do not come back together.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from workers.types import OutcomeStatus

# A job's own fault would happen again; only what the service did to it is tried again.
RETRIED = frozenset({OutcomeStatus.LOST, OutcomeStatus.TRANSIENT})


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """min(cap, base·2^(attempt−1)) seconds, times a number drawn from [0, 1)."""

    base_s: float = 1.0
    cap_s: float = 300.0

    def __post_init__(self) -> None:
        if not 0 < self.base_s <= self.cap_s:
            raise ValueError(
                f"back-off wants 0 < base_s <= cap_s; base_s={self.base_s}, cap_s={self.cap_s} came"
            )

    def delay_s(self, attempt: int, rng: random.Random) -> float:
        """Seconds before the next attempt, after `attempt` of them."""
        return rng.random() * min(self.cap_s, self.base_s * 2.0 ** max(0, attempt - 1))

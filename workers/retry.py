"""Retry policy of attempts, shared by the dispatcher and batch runs.

Back-off with full jitter: a delay drawn from [0, min(cap, base·2ⁿ)], so that jobs that were lost
together do not return together.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from workers.types import OutcomeStatus

# A fault of the job itself would happen again; only faults of the service are tried again.
RETRIED = frozenset({OutcomeStatus.LOST, OutcomeStatus.TRANSIENT})


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """min(cap, base·2^(attempt−1)) seconds, times a number drawn from [0, 1)."""

    base_s: float = 1.0
    cap_s: float = 300.0

    def __post_init__(self) -> None:
        if not 0 < self.base_s <= self.cap_s:
            raise ValueError(
                f"back-off: expected 0 < base_s <= cap_s, got base_s={self.base_s}, "
                f"cap_s={self.cap_s}"
            )

    def delay_s(self, attempt: int, rng: random.Random) -> float:
        """Return seconds before the next attempt, after `attempt` attempts."""
        return rng.random() * min(self.cap_s, self.base_s * 2.0 ** max(0, attempt - 1))

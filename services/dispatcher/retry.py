"""Which ends of an attempt are tried again, and when. Data, not code paths.

Back-off with full jitter: a delay drawn from [0, min(cap, base·2ⁿ)], so that jobs lost together do not come back together.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from services.store.lifecycle import Verb
from workers.types import OutcomeStatus


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What an outcome becomes in the store."""

    verb: Verb
    retried: bool  # `lose` goes back to the queue while attempts are left; this says whether with a delay


# One row for each way an attempt can end.
TREATMENTS: Mapping[OutcomeStatus, Treatment] = MappingProxyType(
    {
        OutcomeStatus.RESULT: Treatment(verb=Verb.SUCCEED, retried=False),
        OutcomeStatus.FAILED: Treatment(verb=Verb.FAIL, retried=False),
        OutcomeStatus.CANCELLED: Treatment(verb=Verb.CONFIRM_CANCEL, retried=False),
        OutcomeStatus.LOST: Treatment(verb=Verb.LOSE, retried=True),
        OutcomeStatus.TRANSIENT: Treatment(verb=Verb.LOSE, retried=True),
    }
)


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """min(cap, base·2^(attempt−1)) seconds, times a number drawn from [0, 1)."""

    base_s: float = 1.0
    cap_s: float = 300.0

    def __post_init__(self) -> None:
        if not 0 < self.base_s <= self.cap_s:
            raise ValueError(f"back-off wants 0 < base_s <= cap_s; base_s={self.base_s}, cap_s={self.cap_s} came")

    def delay_s(self, attempt: int, rng: random.Random) -> float:
        """Seconds before the next attempt, after `attempt` of them."""
        return rng.random() * min(self.cap_s, self.base_s * 2.0 ** max(0, attempt - 1))

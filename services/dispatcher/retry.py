"""Which ends of an attempt are tried again, and when. Data, not code paths.

How long to wait is `workers.retry.Backoff`, which batch runs share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from services.store.lifecycle import Verb
from workers.retry import Backoff
from workers.types import OutcomeStatus

__all__ = ["TREATMENTS", "Backoff", "Treatment"]


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What an outcome becomes in the store."""

    verb: Verb

    @property
    def retried(self) -> bool:
        """`lose` goes back to the queue while attempts are left, after a delay."""
        return self.verb is Verb.LOSE


# One row for each way an attempt can end.
TREATMENTS: Mapping[OutcomeStatus, Treatment] = MappingProxyType(
    {
        OutcomeStatus.RESULT: Treatment(verb=Verb.SUCCEED),
        OutcomeStatus.FAILED: Treatment(verb=Verb.FAIL),
        OutcomeStatus.CANCELLED: Treatment(verb=Verb.CONFIRM_CANCEL),
        OutcomeStatus.LOST: Treatment(verb=Verb.LOSE),
        OutcomeStatus.TRANSIENT: Treatment(verb=Verb.LOSE),
    }
)

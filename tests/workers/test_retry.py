"""The retry policy, as data."""

from __future__ import annotations

import random

import pytest

from services.dispatcher.recording import verb_of
from services.store.lifecycle import Verb
from workers.retry import RETRIED, Backoff
from workers.types import OutcomeStatus


def test_delays_double_up_to_the_cap_with_full_jitter() -> None:
    backoff, rng = Backoff(), random.Random(0)
    for attempt, most in [
        (1, 1.0),
        (2, 2.0),
        (3, 4.0),
        (9, 256.0),
        (10, 300.0),
        (1000, 300.0),
    ]:
        drawn = [backoff.delay_s(attempt, rng) for _ in range(400)]
        assert 0 <= min(drawn) < 0.1 * most
        assert 0.9 * most < max(drawn) < most


def test_every_outcome_has_a_verb_and_batch_runs_retry_the_same_ones() -> None:
    # A rest ends no attempt: the job waits for others and goes on.
    ends = [status for status in OutcomeStatus if status is not OutcomeStatus.RESTED]
    verbs = {status: verb_of(status) for status in ends}
    assert {status for status, verb in verbs.items() if verb is Verb.LOSE} == RETRIED


@pytest.mark.parametrize(
    "given", [{"base_s": 0.0}, {"base_s": -1.0}, {"base_s": 5.0, "cap_s": 1.0}]
)
def test_nonsense_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="back-off: expected"):
        Backoff(**given)

"""The transition function: invariants of every job, and the table of the documentation."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.lifecycle import Facts, IllegalMove, Verb, move
from trimtab.results import JobState

DOC = Path(__file__).parents[3] / "deploy" / "docs" / "job-lifecycle.md"

any_facts = st.builds(
    Facts,
    state=st.sampled_from(JobState),
    attempt=st.integers(0, 5),
    max_attempts=st.integers(1, 5),
    stop_requested=st.booleans(),
    cancel_requested=st.booleans(),
    has_checkpoint=st.booleans(),
    waits=st.integers(0, 3),
    has_jobs=st.booleans(),
    asks=st.booleans(),
)


def outcomes(state: JobState, verb: Verb) -> set[str]:
    """Return the states that `verb` may lead to from `state`, with the flags it sets."""
    states = set()
    flags = (False, True)
    cases = itertools.product((1, 3), flags, flags, flags, (0, 1, 2), flags, flags)
    for attempt, stop, cancel, best, waits, has_jobs, asks in cases:
        facts = Facts(
            state=state,
            attempt=attempt,
            max_attempts=3,
            stop_requested=stop,
            cancel_requested=cancel,
            has_checkpoint=best,
            waits=waits,
            has_jobs=has_jobs,
            asks=asks,
        )
        try:
            after = move(facts, verb)
        except IllegalMove:
            return set()
        requested = (
            "stop"
            if after.stop_requested > stop
            else "cancel"
            if after.cancel_requested > cancel
            else ""
        )
        states.add(
            after.state.value
            if after.state is not state
            else f"{state.value} + {requested} request"
            if requested
            else ""
        )
    return states - {""}


def table() -> str:
    """Return the table of the documentation."""
    head = ["state", *(verb.value for verb in Verb)]
    lines = [head, ["---"] * len(head)]
    for state in JobState:
        cells = (" or ".join(sorted(outcomes(state, verb))) or "-" for verb in Verb)
        lines.append([f"**{state.value}**", *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def test_the_documented_table_is_the_functions_own() -> None:
    text = DOC.read_text()
    written = text.split("<!-- table begins -->\n")[1].split("\n<!-- table ends -->")[0]
    assert written == table(), f"put this into {DOC.name}:\n{table()}"


@given(any_facts, st.sampled_from(Verb))
def test_ended_jobs_move_only_by_redrive_and_successes_never(
    facts: Facts, verb: Verb
) -> None:
    back = Verb.REVIVE if facts.state is JobState.SKIPPED else Verb.REDRIVE
    if facts.state is JobState.SUCCEEDED or (
        facts.state.is_terminal and verb is not back
    ):
        with pytest.raises(IllegalMove):
            move(facts, verb)


@given(any_facts, st.sampled_from(Verb))
def test_leases_begin_by_claim_and_end_with_running(facts: Facts, verb: Verb) -> None:
    try:
        after = move(facts, verb)
    except IllegalMove:
        return
    if after.state is JobState.RUNNING:
        assert verb is Verb.CLAIM or facts.state is JobState.RUNNING
        assert not after.releases_lease
    else:
        assert after.releases_lease


@given(any_facts, st.sampled_from(Verb))
def test_a_request_is_forgotten_only_by_redrive(facts: Facts, verb: Verb) -> None:
    try:
        after = move(facts, verb)
    except IllegalMove:
        return
    if verb is Verb.REDRIVE:
        assert (after.stop_requested, after.cancel_requested, after.resets_attempts) == (
            False,
            False,
            True,
        )
    else:
        assert after.stop_requested >= facts.stop_requested
        assert after.cancel_requested >= facts.cancel_requested


@given(any_facts)
def test_a_queued_job_ends_at_its_owners_word(facts: Facts) -> None:
    if facts.state is JobState.QUEUED:
        assert move(facts, Verb.CANCEL).state is JobState.CANCELLED
        stopped = move(facts, Verb.STOP)
        assert stopped.stop_requested
        assert stopped.state is (
            JobState.QUEUED
            if facts.has_checkpoint or facts.has_jobs
            else JobState.CANCELLED
        )


@given(any_facts)
def test_a_lost_attempt_is_bounded_and_never_outlives_a_request(facts: Facts) -> None:
    if facts.state is not JobState.RUNNING:
        return
    after = move(facts, Verb.LOSE).state
    if facts.cancel_requested:
        assert after is JobState.CANCELLED
    elif facts.has_checkpoint and facts.attempt <= facts.max_attempts:
        assert after is JobState.QUEUED, (
            "what was found is finished before the job may end badly"
        )
    elif facts.stop_requested and not facts.has_jobs:
        assert after is JobState.CANCELLED
    else:
        assert after is (
            JobState.DEAD if facts.attempt >= facts.max_attempts else JobState.QUEUED
        )


@given(any_facts)
def test_a_waiting_job_is_queued_by_its_last_parent(facts: Facts) -> None:
    if facts.state is not JobState.WAITING:
        return
    after = move(facts, Verb.SETTLE)
    assert after.state is (JobState.QUEUED if facts.waits <= 1 else JobState.WAITING)
    assert after.waits == max(facts.waits - 1, 0)
    assert move(facts, Verb.SKIP).state is JobState.SKIPPED


@given(any_facts)
def test_a_rest_is_no_attempt_and_gives_way_to_a_cancel(facts: Facts) -> None:
    if facts.state is not JobState.RUNNING:
        return
    held, suspended = move(facts, Verb.HOLD), move(facts, Verb.SUSPEND)
    if facts.cancel_requested:
        assert held.state is suspended.state is JobState.CANCELLED
        return
    assert suspended.state is (JobState.WAITING if facts.waits else JobState.QUEUED)
    assert suspended.resets_attempts
    if facts.stop_requested:
        assert held.state is JobState.CANCELLED
    else:
        assert held.state.is_resting
        assert held.resets_attempts
        assert (held.state is JobState.NEEDS_INPUT) == facts.asks


@given(any_facts)
def test_a_job_at_rest_moves_by_its_owner_alone(facts: Facts) -> None:
    if not facts.state.is_resting:
        return
    after = move(facts, Verb.RELEASE)
    assert after.state is (JobState.WAITING if facts.waits else JobState.QUEUED)
    for end in (Verb.CANCEL, Verb.STOP):
        assert move(facts, end).state is JobState.CANCELLED
    for other in set(Verb) - {Verb.RELEASE, Verb.CANCEL, Verb.STOP}:
        with pytest.raises(IllegalMove):
            move(facts, other)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (JobState.DEAD, "cannot cancel a DEAD job: it can be redriven"),
        (JobState.SUCCEEDED, "cannot cancel a SUCCEEDED job: it has ended for good"),
        (JobState.SKIPPED, "a SKIPPED job: it runs if the job that it waited for is"),
    ],
)
def test_a_refusal_says_what_is_allowed(state: JobState, said: str) -> None:
    with pytest.raises(IllegalMove, match=said):
        move(Facts(state=state, attempt=3, max_attempts=3), Verb.CANCEL)

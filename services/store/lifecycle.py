"""The transition function of a job, used by stores, dispatcher, tests and the docs table.

    WAITING ──settle──▶ QUEUED ──claim──▶ RUNNING ──complete──▶ SUCCEEDED | FAILED
    WAITING ──skip──▶ SKIPPED ──revive──▶ WAITING

    QUEUED ──claim──▶ RUNNING ──complete──▶ SUCCEEDED | FAILED
      ▲  │               │  │
      │  └──cancel──▶ CANCELLED ◀──complete(cancelled)── RUNNING
      │                  │
      └──requeue─────────┤  (attempt lost, attempts left)
      ▲                  └──bury──▶ DEAD   (attempt lost, none left)
      └──redrive── DEAD | FAILED | CANCELLED

    RUNNING ──hold──▶ NEEDS_INPUT | AWAITING_APPROVAL ──release──▶ QUEUED | WAITING
    RUNNING ──suspend──▶ WAITING   (for jobs that it has just started)

`stop` and `cancel` of a RUNNING job only set a request flag; the worker that holds the lease
ends the job. A cancel takes precedence over a requeue: if the attempt is lost, the job ends
CANCELLED. If a stop was requested and the lost attempt left no checkpoint, the job ends
CANCELLED too, because its owner no longer waits.

A job that waits for others (its parents) is WAITING until each of them has ended; `settle` counts
one end and queues the job at the last. It ends SKIPPED, at once and without an attempt, when a
parent that it needs ends in any other state than SUCCEEDED. A re-drive of that parent revives it.
`services.store.graphs` decides who is settled, skipped and revived.

A plan goes to rest (`hold`) while its owner answers or approves, and waits (`suspend`) while jobs
of its own run; no worker holds it meanwhile. Its next run is a new claim with its attempts reset,
so that ten approvals do not end DEAD. `stop` of a plan with jobs passes on to these: the plan is
then queued and writes what it has, so neither a lost attempt nor `stop` itself discards it.

A job with a checkpoint (the best solution of its lost attempts) never ends without a result: if
its attempts are used up or its owner stopped it, it is queued once more, for an attempt that
only verifies and writes that solution.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trimtab.results import JobState


class Verb(StrEnum):
    """Events in the life of a job."""

    CLAIM = "claim"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"  # by the owner
    STOP = "stop"  # by the owner
    CONFIRM_CANCEL = "confirm_cancel"  # by the worker, once the run has ended
    LOSE = "lose"  # the attempt was lost, or its lease expired
    REDRIVE = "redrive"  # by the owner or an operator
    SETTLE = "settle"  # a parent ended, and the job may still run
    UNSETTLE = "unsettle"  # a parent that had ended was re-driven
    SKIP = "skip"  # a parent that the job needs did not succeed
    REVIVE = "revive"  # the parents that did not succeed were re-driven
    HOLD = "hold"  # by the worker: its owner has to answer or approve
    RELEASE = "release"  # by the owner: an answer, an approval
    SUSPEND = "suspend"  # by the worker: jobs of its own run first


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Input of the transition function."""

    state: JobState
    attempt: int  # number of attempts started
    max_attempts: int
    stop_requested: bool = False
    cancel_requested: bool = False
    has_checkpoint: bool = False  # a solution of an earlier attempt is stored
    waits: int = 0  # parents that have not ended
    has_jobs: bool = False  # a plan whose jobs have been started
    asks: bool = False  # with hold: a question is open

    @property
    def only_finishes(self) -> bool:
        """Return True if the running attempt verifies the checkpoint instead of searching."""
        return self.has_checkpoint and (
            self.attempt > self.max_attempts or self.stop_requested
        )


@dataclass(frozen=True, kw_only=True)
class Move:
    """State of the job after the transition."""

    state: JobState
    stop_requested: bool
    cancel_requested: bool
    waits: int = 0
    resets_attempts: bool = False
    releases_lease: bool = False


class IllegalMove(Exception):
    """The verb is not allowed in this state."""

    def __init__(self, facts: Facts, verb: Verb) -> None:
        self.facts = facts
        self.verb = verb
        allowed = [
            done for each, done in _BY_OWNERS.items() if _is_legal(facts.state, each)
        ]
        if facts.state is JobState.SKIPPED:
            then = "it runs if the job that it waited for is redriven"
        elif allowed:
            then = f"it can be {' or '.join(allowed)}"
        else:
            then = "it has ended for good"
        super().__init__(f"cannot {verb.value} a {facts.state.value} job: {then}")


# What an owner may ask for, as it is said of the job.
_BY_OWNERS = {
    Verb.CANCEL: "cancelled",
    Verb.STOP: "stopped",
    Verb.RELEASE: "answered or approved",
    Verb.REDRIVE: "redriven",
}


_LEGAL: dict[JobState, frozenset[Verb]] = {
    JobState.WAITING: frozenset(
        {Verb.SETTLE, Verb.UNSETTLE, Verb.SKIP, Verb.CANCEL, Verb.STOP}
    ),
    JobState.QUEUED: frozenset({Verb.CLAIM, Verb.CANCEL, Verb.STOP}),
    JobState.RUNNING: frozenset(
        {
            Verb.SUCCEED,
            Verb.FAIL,
            Verb.CANCEL,
            Verb.STOP,
            Verb.CONFIRM_CANCEL,
            Verb.LOSE,
            Verb.HOLD,
            Verb.SUSPEND,
        }
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset({Verb.REDRIVE}),
    JobState.CANCELLED: frozenset({Verb.REDRIVE}),
    JobState.DEAD: frozenset({Verb.REDRIVE}),
    JobState.SKIPPED: frozenset({Verb.REVIVE}),
    JobState.NEEDS_INPUT: frozenset({Verb.RELEASE, Verb.CANCEL, Verb.STOP}),
    JobState.AWAITING_APPROVAL: frozenset({Verb.RELEASE, Verb.CANCEL, Verb.STOP}),
}


def _is_legal(state: JobState, verb: Verb) -> bool:
    return verb in _LEGAL[state]


def move(facts: Facts, verb: Verb) -> Move:
    """Return the effect of `verb` on a job. Pure. Raises IllegalMove."""
    if not _is_legal(facts.state, verb):
        raise IllegalMove(facts, verb)
    stop, cancel = facts.stop_requested, facts.cancel_requested

    def to(state: JobState, *, waits: int = facts.waits, **more: bool) -> Move:
        flags = {
            "stop_requested": stop,
            "cancel_requested": cancel,
            "releases_lease": True,
        } | more
        return Move(state=state, waits=waits, **flags)

    due = JobState.WAITING if facts.waits else JobState.QUEUED
    match verb:
        case Verb.CLAIM:
            return to(JobState.RUNNING, releases_lease=False)
        case Verb.SUCCEED:
            return to(JobState.SUCCEEDED)
        case Verb.FAIL:
            return to(JobState.FAILED)
        case Verb.CONFIRM_CANCEL:
            return to(JobState.CANCELLED)
        case Verb.SETTLE if facts.waits <= 1:
            return to(JobState.QUEUED, waits=0)
        case Verb.SETTLE:
            return to(JobState.WAITING, waits=facts.waits - 1)
        case Verb.UNSETTLE:
            return to(JobState.WAITING, waits=facts.waits + 1)
        case Verb.SKIP:
            return to(JobState.SKIPPED)
        case Verb.REVIVE:
            return to(due)
        case Verb.HOLD | Verb.SUSPEND if cancel:
            return to(JobState.CANCELLED)
        case Verb.HOLD if stop:
            return to(JobState.CANCELLED)  # its owner no longer waits for a question
        case Verb.HOLD:
            rest = JobState.NEEDS_INPUT if facts.asks else JobState.AWAITING_APPROVAL
            return to(rest, resets_attempts=True)
        case Verb.RELEASE | Verb.SUSPEND:
            return to(due, resets_attempts=True)
        case Verb.CANCEL if facts.state is JobState.RUNNING:
            return to(JobState.RUNNING, cancel_requested=True, releases_lease=False)
        case Verb.CANCEL:
            return to(JobState.CANCELLED, cancel_requested=True)
        case Verb.STOP if facts.state is JobState.RUNNING:
            return to(JobState.RUNNING, stop_requested=True, releases_lease=False)
        case Verb.STOP if _keeps_at_stop(facts):
            return to(facts.state, stop_requested=True)
        case Verb.STOP:
            # Nothing has run, so there is no best solution to keep.
            return to(JobState.CANCELLED, stop_requested=True)
        case Verb.LOSE if cancel:
            return to(JobState.CANCELLED)
        case Verb.LOSE if facts.has_checkpoint and facts.attempt <= facts.max_attempts:
            return to(JobState.QUEUED)
        case Verb.LOSE if stop and not facts.has_jobs:
            return to(JobState.CANCELLED)
        case Verb.LOSE if facts.attempt >= facts.max_attempts:
            return to(JobState.DEAD)
        case Verb.LOSE:
            return to(JobState.QUEUED)
        case Verb.REDRIVE:
            return to(
                due,
                stop_requested=False,
                cancel_requested=False,
                resets_attempts=True,
            )
    raise AssertionError(f"unhandled {verb}")


def _keeps_at_stop(facts: Facts) -> bool:
    """Return True for a job without a worker that still has something to write."""
    if facts.state is JobState.QUEUED:
        return facts.has_checkpoint or facts.has_jobs
    return facts.state is JobState.WAITING and facts.has_jobs

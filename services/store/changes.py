"""What each store operation does to a job, as pure functions: job before → Change. No store has rules of its own.

A store reads the job (under its lock), calls one of these, and writes the Change in the same transaction. So the
in-memory twin, SQLite and PostgreSQL cannot differ in anything but how they read and write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.errors import Conflict, StaleFence
from services.store.lifecycle import Facts, IllegalMove, Move, Verb, move
from services.store.types import Completion, JobRecord, Json, NewEvent, NewJob
from trimtab.results import EventType, JobState

US = 1_000_000  # microseconds in a second


@dataclass(frozen=True, kw_only=True)
class AttemptEnd:
    """The attempt of this fence ended so."""

    fence: int
    outcome: str


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A webhook to send, once this change is durable."""

    url: str
    payload: Json


@dataclass(frozen=True, kw_only=True)
class Change:
    """Everything one operation writes."""

    job: JobRecord
    events: tuple[NewEvent, ...] = ()  # their seqs are the last `len(events)` up to job.last_seq
    attempt_end: AttemptEnd | None = None
    delivery: Delivery | None = None
    artifacts: tuple[str, ...] = ()  # digests the job refers to from now on


def submit(new: NewJob, *, job_id: str, now_us: int) -> Change:
    """A new job, QUEUED, with its first event."""
    job = JobRecord(
        id=job_id,
        tenant=new.tenant,
        kind=new.kind,
        spec=new.spec,
        budget=new.budget,
        seed=new.seed,
        priority=new.priority,
        labels=new.labels,
        max_attempts=new.max_attempts,
        webhook=new.webhook,
        state=JobState.QUEUED,
        attempt=0,
        fence=0,
        owner=None,
        lease_until_us=None,
        heartbeat_us=None,
        run_at_us=now_us,
        stop_requested=False,
        cancel_requested=False,
        phase=None,
        best=None,
        termination=None,
        result=None,
        created_us=now_us,
        started_us=None,
        finished_us=None,
        last_seq=1,
    )
    return Change(job=job, events=(_state_event(job),), artifacts=tuple(new.artifacts))


def claim(job: JobRecord, *, owner: str, lease_s: float, now_us: int) -> Change:
    """QUEUED → RUNNING under a lease; the fence grows."""
    after = replace(
        _moved(job, Verb.CLAIM),
        attempt=job.attempt + 1,
        fence=job.fence + 1,
        owner=owner,
        lease_until_us=now_us + round(lease_s * US),
        heartbeat_us=now_us,
        started_us=now_us,
        phase=None,
        best=None,  # a new attempt starts from nothing; what an earlier one knew died with it
    )
    return _with_events(after, [_state_event(after)])


def renew(job: JobRecord, fence: int, *, lease_s: float, now_us: int) -> Change:
    """A heartbeat. A lease that has run out is gone, even while nobody else has taken the job yet."""
    check_fence(job, fence)
    if job.lease_until_us is None or job.lease_until_us <= now_us:
        raise StaleFence(job.id, fence)
    return Change(job=replace(job, lease_until_us=now_us + round(lease_s * US), heartbeat_us=now_us))


def append(job: JobRecord, fence: int, events: Sequence[NewEvent], *, now_us: int) -> Change:
    """What the worker said. Taken while the fence is current, also in the moment between lease end and sweep."""
    check_fence(job, fence)
    phase, best = job.phase, job.best
    for event in events:
        if event.type is EventType.PHASE:
            phase = str(event.data.get("phase"))
        elif event.type is EventType.INCUMBENT:
            best = event.data
    return _with_events(replace(job, phase=phase, best=best, heartbeat_us=now_us), list(events))


def complete(job: JobRecord, fence: int, completion: Completion, *, now_us: int) -> Change:
    """The end of an attempt, in the words of the worker that held the lease."""
    check_fence(job, fence)
    verb = Verb(completion.verb)
    if verb is Verb.LOSE:
        return lose(
            job,
            termination=completion.termination,
            outcome=completion.outcome,
            delay_s=completion.retry_delay_s,
            now_us=now_us,
        )
    after = replace(
        _moved(job, verb),
        termination=completion.termination,
        result=completion.result,
        best=completion.best or job.best,
        phase=None,
        finished_us=now_us,
    )
    return _ended(after, fence, completion.outcome, tuple(completion.artifacts))


def lose(job: JobRecord, *, termination: Json, outcome: str, delay_s: float, now_us: int) -> Change:
    """An attempt was lost: queued again, or given up (DEAD), or CANCELLED when its owner no longer waits."""
    moved = _moved(job, Verb.LOSE)
    if moved.state is JobState.QUEUED:
        after = replace(moved, run_at_us=now_us + round(delay_s * US), phase=None, best=None)
    else:
        reason = dict(termination)
        if moved.state is JobState.CANCELLED:
            reason |= {"reason": "cancelled", "limit": None}
        else:
            reason |= {"limit": "attempts"}
        after = replace(moved, termination=reason, phase=None, finished_us=now_us)
    return _ended(after, job.fence, outcome, ())


def sweep(job: JobRecord, *, now_us: int) -> Change:
    """Take back a lease that ran out."""
    silent_s = (now_us - (job.heartbeat_us or now_us)) / US
    detail = f"worker {job.owner} was not heard for {silent_s:.1f} s and its lease ran out"
    termination = {"reason": "worker_lost", "limit": None, "detail": detail}
    return lose(job, termination=termination, outcome="lost", delay_s=0.0, now_us=now_us)


def request_cancel(job: JobRecord, *, now_us: int) -> Change | None:
    """QUEUED ends at once; RUNNING is asked. None when there is nothing to do."""
    if job.state is JobState.CANCELLED or (job.state is JobState.RUNNING and job.cancel_requested):
        return None
    return _asked(job, Verb.CANCEL, now_us, "cancelled by its owner")


def request_stop(job: JobRecord, *, now_us: int) -> Change | None:
    """RUNNING is asked to end and keep its best; QUEUED has none and is cancelled. None when there is nothing to do."""
    if job.state is JobState.SUCCEEDED or (job.state is JobState.RUNNING and job.stop_requested):
        return None
    return _asked(job, Verb.STOP, now_us, "stopped by its owner before it ran")


def redrive(job: JobRecord, *, now_us: int) -> Change:
    """Back into the queue with attempts reset; the fence goes on growing, so that old workers stay refused."""
    after = replace(
        _moved(job, Verb.REDRIVE),
        attempt=0,
        run_at_us=now_us,
        termination=None,
        result=None,
        best=None,
        phase=None,
        started_us=None,
        finished_us=None,
        heartbeat_us=None,
    )
    return _with_events(after, [_state_event(after)])


def check_fence(job: JobRecord, fence: int) -> None:
    """Raise StaleFence unless `fence` holds the job now."""
    if job.state is not JobState.RUNNING or job.fence != fence:
        raise StaleFence(job.id, fence)


def check_deletable(job: JobRecord) -> None:
    """Raise Conflict while the job may still run."""
    if not job.state.is_terminal:
        raise Conflict(
            f"job {job.id} is {job.state.value}; only an ended job can be deleted",
            fix=f"cancel it first: POST /v1/jobs/{job.id}/cancel",
        )


def _asked(job: JobRecord, verb: Verb, now_us: int, detail: str) -> Change:
    after = _moved(job, verb)
    if after.state is JobState.CANCELLED:
        termination = {"reason": "cancelled", "limit": None, "detail": detail}
        after = replace(after, termination=termination, finished_us=now_us)
    change = _with_events(after, [_state_event(after)])
    return replace(change, delivery=_delivery(change.job)) if after.state.is_terminal else change


def _ended(after: JobRecord, fence: int, outcome: str, artifacts: tuple[str, ...]) -> Change:
    change = _with_events(after, [_state_event(after)])
    delivery = _delivery(change.job) if after.state.is_terminal else None
    end = AttemptEnd(fence=fence, outcome=outcome)
    return replace(change, attempt_end=end, delivery=delivery, artifacts=artifacts)


def _moved(job: JobRecord, verb: Verb) -> JobRecord:
    facts = Facts(
        state=job.state,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        stop_requested=job.stop_requested,
        cancel_requested=job.cancel_requested,
    )
    try:
        becomes: Move = move(facts, verb)
    except IllegalMove as error:
        raise Conflict(f"job {job.id}: {error}", fix="look at its state first: GET /v1/jobs/" + job.id) from error
    released: dict[str, Any] = {"owner": None, "lease_until_us": None} if becomes.releases_lease else {}
    return replace(
        job,
        state=becomes.state,
        stop_requested=becomes.stop_requested,
        cancel_requested=becomes.cancel_requested,
        **released,
    )


def _state_event(job: JobRecord) -> NewEvent:
    data: dict[str, Any] = {"state": job.state.value, "attempt": job.attempt}
    if job.stop_requested:
        data["stop_requested"] = True
    if job.cancel_requested:
        data["cancel_requested"] = True
    if job.termination is not None and job.state.is_terminal:
        data["termination"] = dict(job.termination)
    return NewEvent(type=EventType.STATE, data=data)


def _with_events(job: JobRecord, events: list[NewEvent]) -> Change:
    return Change(job=replace(job, last_seq=job.last_seq + len(events)), events=tuple(events))


def _delivery(job: JobRecord) -> Delivery | None:
    if job.webhook is None:
        return None
    payload = {
        "type": "job.ended",
        "job_id": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "attempt": job.attempt,
        "termination": job.termination,
        "best": job.best,
        "labels": dict(job.labels),
    }
    return Delivery(url=str(job.webhook["url"]), payload=payload)

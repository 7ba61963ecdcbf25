"""What each lifecycle move writes, as values: one place that every store copies from, so that they cannot differ.

`lifecycle.move` decides the state; the functions here add what goes with it (times, lease, events, webhook) and return
a `Step`. A store reads a job, asks for the step, and writes it in the same transaction.

One rule worth knowing: an `append` or a `complete` is taken while the job is RUNNING under the writer's fence, also
when its lease ran out a moment ago and no sweeper came yet. Nobody else can have begun the job, so refusing would only
throw finished work away. A `renew` is refused then, because the sweeper may come between two heartbeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from services.errors import Conflict
from services.store import codec
from services.store.lifecycle import Facts, IllegalMove, Move, Verb, move
from services.store.types import Completion, JobRecord, Json, NewEvent, NewJob
from trimtab.results import EventType, JobState, Limit, Reason

COMPLETING = frozenset({Verb.SUCCEED, Verb.FAIL, Verb.CONFIRM_CANCEL, Verb.LOSE})
LOST = "lost"  # outcome of an attempt whose lease ran out
HANDED_BACK = "handed_back"  # outcome of an attempt that a dispatcher gave up because it was shut down


@dataclass(frozen=True, kw_only=True)
class Step:
    """Everything one move writes."""

    job: JobRecord  # as it is afterwards
    events: tuple[NewEvent, ...] = ()  # their seqs end at job.last_seq
    outcome: str | None = None  # closes the running attempt
    webhook: Json | None = (
        None  # payload to deliver, when the job ended and its owner wants to know
    )
    drops_result: bool = False
    drops_checkpoint: bool = False


def born(new: NewJob, job_id: str, now_us: int) -> Step:
    """A submitted job."""
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
        last_seq=0,
    )
    return _with_events(job, _state_event(job))


def claimed(job: JobRecord, *, owner: str, lease_s: float, now_us: int) -> Step:
    """QUEUED → RUNNING: a new attempt begins with no phase and no best of its own."""
    after = _moved(job, Verb.CLAIM)
    job = replace(
        _flagged(job, after),
        attempt=job.attempt + 1,
        fence=job.fence + 1,
        owner=owner,
        lease_until_us=now_us + microseconds(lease_s),
        heartbeat_us=now_us,
        started_us=now_us,
        phase=None,
        best=None,
    )
    return _with_events(job, _state_event(job))


def completed(job: JobRecord, completion: Completion, now_us: int) -> Step:
    """The lease's holder says how its attempt ended."""
    verb = Verb(completion.verb)
    if verb is Verb.LOSE and completion.checkpoint is not None:
        job = replace(job, has_checkpoint=True)
    if verb not in COMPLETING:
        wanted = ", ".join(sorted(COMPLETING))
        raise ValueError(
            f"verb {verb.value!r} does not complete an attempt; wanted one of {wanted}"
        )
    if verb is Verb.LOSE and completion.outcome == HANDED_BACK:
        # A restart of the service is nobody's failure: it must not use up an attempt, or the last one would end DEAD.
        job = replace(job, attempt=job.attempt - 1)
    return _ended(job, verb, completion, now_us)


def expired(job: JobRecord, now_us: int) -> Step:
    """A lease ran out without a word from its holder."""
    detail = f"worker {job.owner} did not renew its lease on attempt {job.attempt}"
    told = Completion(
        verb=Verb.LOSE,
        termination=_termination(Reason.WORKER_LOST, detail=detail),
        outcome=LOST,
    )
    return _ended(job, Verb.LOSE, told, now_us)


def cancelled(job: JobRecord, now_us: int) -> Step | None:
    """The owner says cancel. None: it is cancelled already, and nothing changes."""
    if job.state is JobState.CANCELLED:
        return None
    return _requested(job, Verb.CANCEL, now_us)


def stopped(job: JobRecord, now_us: int) -> Step | None:
    """The owner says stop. None: it has ended that way already, and nothing changes."""
    if job.state is JobState.SUCCEEDED or (
        job.state is JobState.CANCELLED and job.stop_requested
    ):
        return None
    return _requested(job, Verb.STOP, now_us)


def redriven(job: JobRecord, now_us: int) -> Step:
    """A job that ended badly is queued again, as new but for its fence and its history."""
    after = _moved(job, Verb.REDRIVE)
    job = replace(
        _flagged(job, after),
        attempt=0 if after.resets_attempts else job.attempt,
        run_at_us=now_us,
        phase=None,
        best=None,
        termination=None,
        result=None,
        started_us=None,
        finished_us=None,
    )
    return replace(_with_events(job, _state_event(job)), drops_result=True)


def appended(job: JobRecord, events: Sequence[NewEvent], now_us: int) -> Step:
    """The lease's holder tells of its progress; the newest phase and incumbent are kept on the job."""
    phase, best = progress(events)
    return _with_events(
        replace(job, phase=phase or job.phase, best=best or job.best, heartbeat_us=now_us),
        *events,
    )


def progress(events: Sequence[NewEvent]) -> tuple[str | None, Json | None]:
    """The newest phase and the newest incumbent among `events`."""
    phase: str | None = None
    best: Json | None = None
    for event in events:
        if event.type == EventType.PHASE:
            phase = codec.storable(str(event.data.get("phase", "")))
        elif event.type == EventType.INCUMBENT:
            best = event.data
    return phase, best


def is_holder(job: JobRecord, fence: int) -> bool:
    """True while the lease with `fence` is the job's current one."""
    return job.state is JobState.RUNNING and job.fence == fence


def require_deletable(job: JobRecord) -> None:
    """Raises Conflict while the job may still run."""
    if not job.state.is_terminal:
        raise Conflict(
            f"job {job.id} is {job.state.value}; only a job that has ended can be deleted",
            fix="Cancel it and wait until it has ended, then delete it.",
        )


def plain_completion(told: Completion) -> Completion:
    """`told` as it will be read back from JSON."""
    return replace(
        told,
        termination=codec.loads(codec.dumps(told.termination)),
        result=codec.loads(codec.dumps(told.result)),
        best=codec.loads(codec.dumps(told.best)),
    )


def microseconds(seconds: float) -> int:
    """Seconds as the store's unit."""
    return round(seconds * 1_000_000)


def _ended(job: JobRecord, verb: Verb, told: Completion, now_us: int) -> Step:
    after = _moved(job, verb)
    termination = dict(told.termination)
    if verb is Verb.LOSE and after.state is JobState.CANCELLED:
        limit = None if job.cancel_requested else Limit.STOPPED
        termination = _termination(
            Reason.CANCELLED,
            limit,
            f"asked to end; then {termination.get('detail') or LOST}",
        )
    elif after.state is JobState.DEAD:
        termination["limit"] = Limit.ATTEMPTS.value
    ends = after.state.is_terminal
    job = replace(
        _flagged(job, after),
        best=told.best if told.best is not None else job.best,
        termination=termination if ends else None,
        result=told.result if ends else None,
        run_at_us=job.run_at_us if ends else now_us + microseconds(told.retry_delay_s),
        finished_us=now_us if ends else None,
    )
    drops = _drops_checkpoint(job)
    job = replace(job, has_checkpoint=job.has_checkpoint and not drops)
    step = _with_events(job, _state_event(job, termination))
    return replace(
        step, outcome=told.outcome, webhook=_webhook(job), drops_checkpoint=drops
    )


def _drops_checkpoint(job: JobRecord) -> bool:
    """A job that ended needs its best solution no more; a DEAD one keeps it, because a re-drive begins from it."""
    return job.has_checkpoint and job.state.is_terminal and job.state is not JobState.DEAD


def _requested(job: JobRecord, verb: Verb, now_us: int) -> Step:
    after = _moved(job, verb)
    changed = (after.stop_requested, after.cancel_requested) != (
        job.stop_requested,
        job.cancel_requested,
    )
    job = _flagged(job, after)
    if not after.state.is_terminal:
        said = NewEvent(
            type=EventType.LOG, data={"level": "info", "message": f"{verb.value} requested"}
        )
        return _with_events(job, said) if changed else Step(job=job)
    termination = _termination(
        Reason.CANCELLED, detail=f"{verb.value} requested before a worker began"
    )
    drops = _drops_checkpoint(job)
    job = replace(
        job,
        termination=termination,
        finished_us=now_us,
        has_checkpoint=job.has_checkpoint and not drops,
    )
    step = _with_events(job, _state_event(job, termination))
    return replace(step, webhook=_webhook(job), drops_checkpoint=drops)


def facts_of(job: JobRecord) -> Facts:
    """What the transition function may look at."""
    return Facts(
        state=job.state,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        stop_requested=job.stop_requested,
        cancel_requested=job.cancel_requested,
        has_checkpoint=job.has_checkpoint,
    )


def _moved(job: JobRecord, verb: Verb) -> Move:
    try:
        return move(facts_of(job), verb)
    except IllegalMove as error:
        raise Conflict(
            f"job {job.id}: {error}", fix="Read the job's state again before you act on it."
        ) from error


def _flagged(job: JobRecord, after: Move) -> JobRecord:
    job = replace(
        job,
        state=after.state,
        stop_requested=after.stop_requested,
        cancel_requested=after.cancel_requested,
    )
    return (
        replace(job, owner=None, lease_until_us=None, heartbeat_us=None)
        if after.releases_lease
        else job
    )


def _with_events(job: JobRecord, *events: NewEvent) -> Step:
    return Step(job=replace(job, last_seq=job.last_seq + len(events)), events=events)


def _state_event(job: JobRecord, termination: Json | None = None) -> NewEvent:
    data: dict[str, Any] = {"state": job.state.value, "attempt": job.attempt}
    if termination is not None:
        data["termination"] = termination
    return NewEvent(type=EventType.STATE, data=data)


def _termination(
    reason: Reason, limit: Limit | None = None, detail: str = ""
) -> dict[str, Any]:
    return {
        "reason": reason.value,
        "limit": None if limit is None else limit.value,
        "detail": detail,
    }


def _webhook(job: JobRecord) -> Json | None:
    if job.webhook is None or job.finished_us is None:
        return None
    return {
        "event": "job.finished",
        "job_id": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "labels": dict(job.labels),
        "termination": job.termination,
        "finished_at": datetime.fromtimestamp(job.finished_us / 1e6, UTC)
        .isoformat()
        .replace("+00:00", "Z"),
    }

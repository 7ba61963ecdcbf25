"""Changes of a job as values, shared by all stores so that they cannot differ.

`lifecycle.move` decides the state; the functions here add times, lease, events and webhook, and
return a `JobChange`. A store reads a job, computes the change, and writes it in one transaction.

`append` and `complete` are accepted while the job is RUNNING under the writer's fence, even if
its lease has just expired and no sweep has taken it back: no other worker can have started the
job, so a refusal would only discard finished work. `renew` is refused then, because a sweep may
follow before the next heartbeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from services.errors import Conflict
from services.store import codec
from services.store.lifecycle import Facts, IllegalMove, Move, Verb, move
from services.store.types import (
    Approval,
    Claim,
    Completion,
    JobRecord,
    Json,
    Memo,
    MemoRecord,
    ModelRecord,
    NewEvent,
    NewJob,
    NewModel,
)
from trimtab.results import EventType, JobState, Limit, Reason
from trimtab.specs.common import JobChanges

START_PHASE = "start"
"""Phase of a run before its process reports any."""
RESTS = frozenset({Verb.HOLD, Verb.SUSPEND})
COMPLETING = RESTS | {Verb.SUCCEED, Verb.FAIL, Verb.CONFIRM_CANCEL, Verb.LOSE}
LOST = "lost"  # outcome of an attempt whose lease expired
# Outcome of an attempt that ended with its dispatcher's shutdown.
HANDED_BACK = "handed_back"


@dataclass(frozen=True, kw_only=True)
class JobChange:
    """Everything that one change of a job writes."""

    job: JobRecord  # the job after the change
    events: tuple[NewEvent, ...] = ()  # their seqs end at job.last_seq
    outcome: str | None = None  # closes the running attempt
    webhook: Json | None = None  # payload to deliver if the job ended and has a webhook
    drops_result: bool = False
    drops_checkpoint: bool = False
    rewrites_spec: bool = False
    keeps: tuple[str, ...] = ()  # digests of files that the job refers to from now on
    memo: MemoRecord | None = None  # replaces the job's memo


def submitted(new: NewJob, job_id: str, now_us: int, *, waits: int = 0) -> JobChange:
    """Create a QUEUED job, or a WAITING one with `waits` parents that have not ended."""
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
        state=JobState.WAITING if waits else JobState.QUEUED,
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
        waits=waits,
        graph=new.graph,
        name=new.name,
    )
    return JobChange(job=job, events=(_state_event(job),))


def settled(job: JobRecord, ended: int, now_us: int) -> JobChange:
    """Count `ended` parents that have ended; queue the job if they were the last."""
    after = _moved(replace(job, waits=job.waits - ended + 1), Verb.SETTLE)
    job = _flagged(job, after)
    if job.state is not JobState.QUEUED:
        return JobChange(job=job)
    return _with_events(replace(job, run_at_us=now_us), _state_event(job))


def unsettled(job: JobRecord, waits: int) -> JobChange:
    """Wait for a parent again that was re-driven; `waits` is the number of such in all."""
    return JobChange(
        job=_flagged(job, _moved(replace(job, waits=waits - 1), Verb.UNSETTLE))
    )


def skipped(job: JobRecord, reason: Reason, detail: str, now_us: int) -> JobChange:
    """End a waiting job that can no longer run."""
    termination = _termination(reason, detail=detail)
    job = replace(
        _flagged(job, _moved(job, Verb.SKIP)), termination=termination, finished_us=now_us
    )
    change = _with_events(job, _state_event(job, termination))
    return replace(change, webhook=webhook_payload(job))


def revived(job: JobRecord, waits: int, now_us: int) -> JobChange:
    """Wait again, because the parents that did not succeed were re-driven."""
    after = _moved(replace(job, waits=waits), Verb.REVIVE)
    job = replace(
        _flagged(job, after), run_at_us=now_us, termination=None, finished_us=None
    )
    return _with_events(job, _state_event(job))


def claimed(job: JobRecord, *, owner: str, lease_s: float, now_us: int) -> JobChange:
    """Start an attempt (QUEUED → RUNNING) in phase `start`, without best solution."""
    after = _moved(job, Verb.CLAIM)
    job = replace(
        _flagged(job, after),
        attempt=job.attempt + 1,
        fence=job.fence + 1,
        owner=owner,
        lease_until_us=now_us + microseconds(lease_s),
        heartbeat_us=now_us,
        started_us=now_us,
        phase=START_PHASE,
        best=None,
    )
    return _with_events(job, _state_event(job))


def completed(
    job: JobRecord, completion: Completion, now_us: int, *, waits: int = 0
) -> JobChange:
    """End the attempt as its worker reports.

    With suspend, `waits` is the number of jobs of its own that have not ended.
    """
    verb = Verb(completion.verb)
    if verb is Verb.LOSE and completion.checkpoint is not None:
        job = replace(job, has_checkpoint=True)
    if verb not in COMPLETING:
        verbs = ", ".join(sorted(COMPLETING))
        raise ValueError(f"verb: expected one of {verbs}, got {verb.value!r}")
    if verb is Verb.LOSE and completion.outcome == HANDED_BACK:
        # A restart of the service must not use up an attempt: the last one would end DEAD.
        job = replace(job, attempt=job.attempt - 1)
    if verb is Verb.SUSPEND:
        job = replace(job, waits=waits, graph=job.id)
    return _ended(job, verb, completion, now_us)


def released(
    job: JobRecord, now_us: int, *, waits: int = 0, approved: bool = False
) -> JobChange:
    """Queue a job at rest, or let it wait for `waits` jobs of its own if it was approved."""
    job = replace(job, waits=waits, graph=job.id if approved else job.graph)
    job = replace(_flagged(job, _moved(job, Verb.RELEASE)), attempt=0, run_at_us=now_us)
    return _with_events(job, _state_event(job))


def edited(job: JobRecord, memo: MemoRecord, now_us: int) -> JobChange:
    """Replace the memo of a job at rest; the time until it lapses begins anew."""
    message = f"outline changed: revision {memo.revision}"
    event = NewEvent(type=EventType.LOG, data={"level": "info", "message": message})
    return replace(_with_events(replace(job, run_at_us=now_us), event), memo=memo)


def lapsed(job: JobRecord, now_us: int) -> JobChange:
    """Cancel a job whose owner neither answered nor approved."""
    days = (now_us - job.run_at_us) / 86_400e6
    detail = f"neither an answer nor an approval within {days:.3g} days"
    job = _flagged(job, _moved(job, Verb.CANCEL))
    return _ended_without_worker(job, now_us, detail)


def expired(job: JobRecord, now_us: int) -> JobChange:
    """End an attempt whose lease expired."""
    detail = f"worker {job.owner} did not renew its lease on attempt {job.attempt}"
    completion = Completion(
        verb=Verb.LOSE,
        termination=_termination(Reason.WORKER_LOST, detail=detail),
        outcome=LOST,
    )
    return _ended(job, Verb.LOSE, completion, now_us)


def cancelled(job: JobRecord, now_us: int) -> JobChange | None:
    """Cancel at the owner's request; None if the job is cancelled already."""
    if job.state is JobState.CANCELLED:
        return None
    return _requested(job, Verb.CANCEL, now_us)


def stopped(job: JobRecord, now_us: int) -> JobChange | None:
    """Stop at the owner's request; None if the job has ended that way already."""
    if job.state is JobState.SUCCEEDED or (
        job.state is JobState.CANCELLED and job.stop_requested
    ):
        return None
    return _requested(job, Verb.STOP, now_us)


def redriven(job: JobRecord, now_us: int, *, waits: int = 0) -> JobChange:
    """Queue an unsuccessful job again, like a new one but with its fence and history.

    `waits` is the number of its parents that have not ended.
    """
    after = _moved(replace(job, waits=waits), Verb.REDRIVE)
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


def appended(job: JobRecord, events: Sequence[NewEvent], now_us: int) -> JobChange:
    """Append events of the running attempt; phase and best follow the newest ones."""
    phase, best = progress(events)
    return _with_events(
        replace(
            job, phase=phase or job.phase, best=best or job.best, heartbeat_us=now_us
        ),
        *events,
    )


def progress(events: Sequence[NewEvent]) -> tuple[str | None, Json | None]:
    """Return (newest phase, newest incumbent) of `events`."""
    phase: str | None = None
    best: Json | None = None
    for event in events:
        if event.type == EventType.PHASE:
            phase = codec.storable(str(event.data.get("phase", "")))
        elif event.type == EventType.INCUMBENT:
            best = event.data
    return phase, best


def is_holder(job: JobRecord, fence: int) -> bool:
    """Return True while `fence` is the job's current lease."""
    return job.state is JobState.RUNNING and job.fence == fence


def require_deletable(job: JobRecord, waiting: str | None = None) -> None:
    """Raise Conflict while the job, or the one that waits for it, may still run."""
    if waiting is not None:
        raise Conflict(
            f"job {job.id}: expected one that no job waits for, but {waiting} does",
            fix="delete it after the jobs that need it have ended, or cancel these first",
        )
    if not job.state.is_terminal:
        raise Conflict(
            f"job {job.id}: expected one that has ended, got a {job.state.value} job",
            fix="cancel it and wait until it has ended, then delete it",
        )


def renamed(job: JobRecord, changed: JobChanges) -> JobRecord:
    """Replace name or labels of a job."""
    return replace(
        job,
        name=job.name if changed.name is None else changed.name,
        labels=job.labels if changed.labels is None else dict(changed.labels),
    )


def plain_job(job: NewJob) -> NewJob:
    """Copy a job through JSON: it equals what is read back, and shares no object."""
    return replace(
        job,
        spec=codec.loads(codec.dumps(job.spec)),
        budget=codec.loads(codec.dumps(job.budget)),
        labels=dict(job.labels),
        webhook=codec.loads(codec.dumps(job.webhook)),
    )


def plain_completion(completion: Completion) -> Completion:
    """Copy a completion through JSON: it equals what is read back."""
    return replace(
        completion,
        termination=codec.loads(codec.dumps(completion.termination)),
        result=codec.loads(codec.dumps(completion.result)),
        best=codec.loads(codec.dumps(completion.best)),
        memo=None if completion.memo is None else plain_memo(completion.memo),
        children=tuple(plain_job(child) for child in completion.children),
    )


def plain_memo(memo: Memo) -> Memo:
    """Copy a memo through JSON: it equals what is read back."""
    return replace(memo, body=codec.loads(codec.dumps(memo.body)))


def plain_approval(approval: Approval) -> Approval:
    """Copy an approval through JSON: it equals what is read back."""
    return replace(approval, children=tuple(map(plain_job, approval.children)))


def registered(job: JobRecord, model: NewModel, now_us: int) -> ModelRecord:
    """Return the record of a model that a job made."""
    return ModelRecord(
        id=model.id,
        tenant=job.tenant,
        target=model.target,
        job_id=job.id,
        created_us=now_us,
        size_bytes=model.size_bytes,
        digest=model.digest,
        picture=model.picture,
        state=model.state,
        card=codec.loads(codec.dumps(model.card)),
    )


def claim_of(job: JobRecord) -> Claim:
    """Return the lease on a job that was just claimed."""
    assert job.lease_until_us is not None
    return Claim(job=job, fence=job.fence, lease_until_us=job.lease_until_us)


def microseconds(seconds: float) -> int:
    """Convert seconds to the unit of the store."""
    return round(seconds * 1_000_000)


def _ended(job: JobRecord, verb: Verb, completion: Completion, now_us: int) -> JobChange:
    after = _moved(job, verb, asks=completion.asks)
    termination = dict(completion.termination)
    if verb in (Verb.LOSE, *RESTS) and after.state is JobState.CANCELLED:
        limit = None if job.cancel_requested else Limit.STOPPED
        termination = _termination(
            Reason.CANCELLED,
            limit,
            f"its owner asked it to end; then {termination.get('detail') or LOST}",
        )
    elif after.state is JobState.DEAD:
        termination["limit"] = Limit.ATTEMPTS.value
    ends = after.state.is_terminal
    job = replace(
        _flagged(job, after),
        attempt=0 if after.resets_attempts else job.attempt,
        has_memo=job.has_memo or completion.memo is not None,
        best=completion.best if completion.best is not None else job.best,
        termination=termination if ends else None,
        result=completion.result if ends else None,
        run_at_us=job.run_at_us
        if ends
        else now_us + microseconds(completion.retry_delay_s),
        finished_us=now_us if ends else None,
    )
    rests = verb in RESTS
    drops = _drops_checkpoint(job) or (job.has_checkpoint and rests)
    job = replace(job, has_checkpoint=job.has_checkpoint and not drops)
    if rests and not ends:
        detail = str(termination.get("detail") or "")
        log = NewEvent(type=EventType.LOG, data={"level": "info", "message": detail})
        change = _with_events(job, _state_event(job), *([log] if detail else []))
    else:
        change = _with_events(job, _state_event(job, termination))
    return replace(
        change,
        outcome=completion.outcome,
        webhook=webhook_payload(job),
        drops_checkpoint=drops,
    )


def _drops_checkpoint(job: JobRecord) -> bool:
    """Return True for an ended job, except a DEAD one: a re-drive starts from its checkpoint."""
    return job.has_checkpoint and job.state.is_terminal and job.state is not JobState.DEAD


def _requested(job: JobRecord, verb: Verb, now_us: int) -> JobChange:
    after = _moved(job, verb)
    changed = (after.stop_requested, after.cancel_requested) != (
        job.stop_requested,
        job.cancel_requested,
    )
    job = _flagged(job, after)
    if not after.state.is_terminal:
        event = NewEvent(
            type=EventType.LOG,
            data={"level": "info", "message": f"{verb.value} requested"},
        )
        return _with_events(job, event) if changed else JobChange(job=job)
    return _ended_without_worker(
        job, now_us, f"{verb.value} requested before a worker began"
    )


def _ended_without_worker(job: JobRecord, now_us: int, detail: str) -> JobChange:
    termination = _termination(Reason.CANCELLED, detail=detail)
    drops = _drops_checkpoint(job)
    job = replace(
        job,
        termination=termination,
        finished_us=now_us,
        has_checkpoint=job.has_checkpoint and not drops,
    )
    change = _with_events(job, _state_event(job, termination))
    return replace(change, webhook=webhook_payload(job), drops_checkpoint=drops)


def facts_of(job: JobRecord) -> Facts:
    """Return the input of the transition function."""
    return Facts(
        state=job.state,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        stop_requested=job.stop_requested,
        cancel_requested=job.cancel_requested,
        has_checkpoint=job.has_checkpoint,
        waits=job.waits,
        has_jobs=job.graph == job.id,
    )


def _moved(job: JobRecord, verb: Verb, *, asks: bool = False) -> Move:
    try:
        return move(replace(facts_of(job), asks=asks), verb)
    except IllegalMove as error:
        raise Conflict(
            f"job {job.id}: {error}", fix="read the state of the job again"
        ) from error


def _flagged(job: JobRecord, after: Move) -> JobRecord:
    job = replace(
        job,
        state=after.state,
        stop_requested=after.stop_requested,
        cancel_requested=after.cancel_requested,
        waits=after.waits,
    )
    return (
        replace(job, owner=None, lease_until_us=None, heartbeat_us=None)
        if after.releases_lease
        else job
    )


def _with_events(job: JobRecord, *events: NewEvent) -> JobChange:
    return JobChange(job=replace(job, last_seq=job.last_seq + len(events)), events=events)


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


def webhook_payload(job: JobRecord) -> Json | None:
    """Return what the webhook of an ended job is sent; None without a webhook."""
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

"""Operations of lease holders: claim, renew, append, complete; and the sweep of expired leases.

The functions return a StaleFence instead of raising it, because the transaction must commit
the count of refusals; the store raises it afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select, text, update

from services.errors import NotFound, StaleFence
from services.store import changes, codec, plans
from services.store.lifecycle import Verb
from services.store.sql import graph, idempotency, jobs, rows, write
from services.store.sql.tx import Tx
from services.store.types import Claim, Completion, JobRecord, NewEvent, Signals
from trimtab.results import JobState

STALE_WRITES = "stale_writes"

# The states are literals, so that both planners can use the partial indices.
_DUE = (
    rows.full_job()
    .where(
        text("job.state = 'QUEUED'"),
        rows.job.c.run_at_us <= bindparam("now"),
        rows.job.c.kind.in_(bindparam("kinds", expanding=True)),
    )
    .order_by(rows.job.c.rank, rows.job.c.id)
    .limit(bindparam("most"))
    .with_for_update(of=rows.job, skip_locked=True)
)
_LATE = (
    rows.full_job()
    .where(text("job.state = 'RUNNING'"), rows.job.c.lease_until_us <= bindparam("now"))
    .order_by(rows.job.c.lease_until_us, rows.job.c.id)
    .limit(bindparam("most"))
    .with_for_update(of=rows.job, skip_locked=True)
)
_LAPSED = (
    rows.full_job()
    .where(
        text("job.state IN ('NEEDS_INPUT', 'AWAITING_APPROVAL')"),
        rows.job.c.run_at_us <= bindparam("since"),
    )
    .order_by(rows.job.c.run_at_us, rows.job.c.id)
    .limit(bindparam("most"))
    .with_for_update(of=rows.job, skip_locked=True)
)
_HELD = (
    select(
        rows.job.c.state,
        rows.job.c.fence,
        rows.job.c.lease_until_us,
        rows.job.c.stop_requested,
        rows.job.c.cancel_requested,
        rows.job.c.last_seq,
    )
    .where(rows.job.c.id == bindparam("job_id"))
    .with_for_update()
)
_UPDATE = update(rows.job).where(rows.job.c.id == bindparam("of_job"))
_CHECKPOINT = select(rows.checkpoint.c.data).where(
    rows.checkpoint.c.job_id == bindparam("job_id")
)
_COUNT = select(rows.counter.c.value).where(rows.counter.c.name == bindparam("of_name"))


def claim(
    tx: Tx, owner: str, kinds: Sequence[str], lease_s: float, limit: int
) -> list[Claim]:
    """Claim due jobs, highest priority first, then oldest; skips rows that others are claiming."""
    now = tx.now_us()
    due = tx.conn.execute(_DUE, {"now": now, "kinds": list(kinds), "most": limit}).all()
    claims = []
    for row in due:
        change = changes.claimed(
            rows.job_record(row), owner=owner, lease_s=lease_s, now_us=now
        )
        write.apply(tx, change, now)
        job = change.job
        tx.conn.execute(
            insert(rows.attempt),
            {
                "job_id": job.id,
                "fence": job.fence,
                "number": job.attempt,
                "worker": owner,
                "started_us": now,
                "ended_us": None,
                "outcome": None,
            },
        )
        claims.append(changes.claim_of(job))
    return claims


def renew(tx: Tx, job_id: str, fence: int, lease_s: float) -> Signals | StaleFence:
    """Extend a lease and return the owner's requests."""
    held = tx.conn.execute(_HELD, {"job_id": job_id}).one_or_none()
    now = tx.now_us()
    if held is None or not _is_current(held, fence) or held.lease_until_us <= now:
        return _refused(tx, job_id, fence)
    until = now + changes.microseconds(lease_s)
    tx.conn.execute(
        _UPDATE, {"of_job": job_id, "lease_until_us": until, "heartbeat_us": now}
    )
    return Signals(
        stop_requested=bool(held.stop_requested),
        cancel_requested=bool(held.cancel_requested),
        lease_until_us=until,
    )


def append(
    tx: Tx, job_id: str, fence: int, events: Sequence[NewEvent]
) -> int | StaleFence:
    """Append events. The lock on the job's row makes seqs consecutive."""
    held = tx.conn.execute(_HELD, {"job_id": job_id}).one_or_none()
    if held is None or not _is_current(held, fence):
        return _refused(tx, job_id, fence)
    now = tx.now_us()
    last_seq: int = held.last_seq + len(events)
    phase, best = changes.progress(events)
    columns: dict[str, object] = {
        "of_job": job_id,
        "last_seq": last_seq,
        "heartbeat_us": now,
    }
    if phase:
        columns["phase"] = phase
    if best:
        columns["best"] = codec.dumps(best)
    tx.conn.execute(_UPDATE, columns)
    new_rows = [
        {
            "job_id": job_id,
            "seq": seq,
            "type": str(event.type),
            "at_us": now,
            "data": codec.dumps(event.data),
        }
        for seq, event in enumerate(events, held.last_seq + 1)
    ]
    if new_rows:
        tx.conn.execute(insert(rows.event), new_rows)
    return last_seq


def put_checkpoint(tx: Tx, job_id: str, fence: int, data: bytes) -> StaleFence | None:
    """Replace the checkpoint of a job."""
    held = tx.conn.execute(_HELD, {"job_id": job_id}).one_or_none()
    if held is None or not _is_current(held, fence):
        return _refused(tx, job_id, fence)
    write.put_checkpoint(tx, job_id, fence, data)
    tx.conn.execute(_UPDATE, {"of_job": job_id, "has_checkpoint": 1})
    return None


def refusal(tx: Tx, job_id: str, fence: int) -> StaleFence | None:
    """Return the refusal of a write by a lease that has moved on; None for the holder."""
    held = tx.conn.execute(_HELD, {"job_id": job_id}).one_or_none()
    if held is None or not _is_current(held, fence):
        return _refused(tx, job_id, fence)
    return None


def get_checkpoint(tx: Tx, job_id: str) -> bytes | None:
    """Return the checkpoint of a job; None without one."""
    data: bytes | None = tx.conn.execute(
        _CHECKPOINT, {"job_id": job_id}
    ).scalar_one_or_none()
    return None if data is None else bytes(data)


def complete(
    tx: Tx, job_id: str, fence: int, completion: Completion
) -> JobRecord | StaleFence:
    """Write result, state, attempt, event and webhook of an attempt that ended."""
    graph.lock_family(tx, job_id, succeeds=completion.verb == Verb.SUCCEED)
    try:
        job = jobs.get_locked(tx, job_id, None)
    except NotFound:
        return _refused(tx, job_id, fence)
    if not changes.is_holder(job, fence):
        return _refused(tx, job_id, fence)
    now = tx.now_us()
    links = graph.SqlLinks(tx=tx, now_us=now)
    started = plans.complete(job, completion, links, tx.new_id, now)
    change = started.change
    if completion.checkpoint is not None and change.job.has_checkpoint:
        write.put_checkpoint(tx, job_id, fence, completion.checkpoint)
    graph.apply(tx, change, now)
    if started.placed:
        jobs.insert_placed(tx, started.children, started.placed, now)
    if change.job.state.is_terminal:
        write.refer(
            tx,
            tenant=job.tenant,
            job_id=job.id,
            role="output",
            digests=tuple(completion.artifacts),
        )
    if completion.model is not None and change.job.state is JobState.SUCCEEDED:
        made = changes.registered(change.job, completion.model, now)
        tx.conn.execute(insert(rows.model), rows.model_columns(made))
    return change.job


def sweep(tx: Tx, limit: int, resting_ttl_s: float) -> list[JobRecord]:
    """Take back expired leases, cancel jobs that rested for too long, delete expired keys."""
    now = tx.now_us()
    idempotency.purge(tx, now)
    swept = []
    since = now - changes.microseconds(resting_ttl_s)
    for query, values, end in (
        (_LATE, {"now": now}, changes.expired),
        (_LAPSED, {"since": since}, changes.lapsed),
    ):
        for row in tx.conn.execute(query, {**values, "most": limit}).all():
            change = end(rows.job_record(row), now)
            graph.apply(tx, change, now)
            swept.append(change.job)
    return swept


def stale_writes(tx: Tx) -> int:
    """Return the number of refused writes so far."""
    count: int | None = tx.conn.execute(
        _COUNT, {"of_name": STALE_WRITES}
    ).scalar_one_or_none()
    return count or 0


def _is_current(held: Any, fence: int) -> bool:
    return bool(held.state == JobState.RUNNING and held.fence == fence)


def _refused(tx: Tx, job_id: str, fence: int) -> StaleFence:
    first = tx.upsert(rows.counter).values(name=STALE_WRITES, value=1)
    tx.conn.execute(
        first.on_conflict_do_update(
            index_elements=["name"], set_={"value": rows.counter.c.value + 1}
        )
    )
    return StaleFence(job_id, fence)

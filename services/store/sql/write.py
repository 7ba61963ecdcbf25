"""Write a `JobChange`: every lifecycle change of both databases goes through `apply`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, insert, update

from services.store import codec
from services.store.changes import JobChange
from services.store.sql import audit, rows
from services.store.sql.tx import Tx
from services.store.types import MemoRecord

_UPDATE_JOB = update(rows.job).where(rows.job.c.id == bindparam("job_id"))
_CLOSE_ATTEMPT = (
    update(rows.attempt)
    .where(
        rows.attempt.c.job_id == bindparam("of_job"),
        rows.attempt.c.fence == bindparam("of_fence"),
    )
    .values(ended_us=bindparam("ended"), outcome=bindparam("how"))
)
_DROP_RESULT = delete(rows.result).where(rows.result.c.job_id == bindparam("of_job"))
_DROP_CHECKPOINT = delete(rows.checkpoint).where(
    rows.checkpoint.c.job_id == bindparam("of_job")
)
_REWRITE_SPEC = (
    update(rows.spec)
    .where(rows.spec.c.job_id == bindparam("of_job"))
    .values(spec=bindparam("text"))
)
_DROP_OUTPUTS = delete(rows.reference).where(
    rows.reference.c.job_id == bindparam("of_job"), rows.reference.c.role == "output"
)


def apply(tx: Tx, change: JobChange, now_us: int) -> None:
    """Write a change of an existing job."""
    job = change.job
    tx.conn.execute(_UPDATE_JOB, {"job_id": job.id, **rows.moving_columns(job)})
    add_events(tx, change, now_us)
    if change.outcome is not None:
        tx.conn.execute(
            _CLOSE_ATTEMPT,
            {
                "of_job": job.id,
                "of_fence": job.fence,
                "ended": now_us,
                "how": change.outcome,
            },
        )
    if change.drops_result:
        tx.conn.execute(_DROP_RESULT, {"of_job": job.id})
        tx.conn.execute(_DROP_OUTPUTS, {"of_job": job.id})
    if change.rewrites_spec:
        tx.conn.execute(_REWRITE_SPEC, {"of_job": job.id, "text": codec.dumps(job.spec)})
    refer(tx, tenant=job.tenant, job_id=job.id, role="input", digests=change.keeps)
    if change.memo is not None:
        put_memo(tx, job.id, change.memo)
    if change.drops_checkpoint:
        tx.conn.execute(_DROP_CHECKPOINT, {"of_job": job.id})
    if job.result is not None:
        tx.conn.execute(
            insert(rows.result), {"job_id": job.id, "result": codec.dumps(job.result)}
        )
    if change.webhook is not None and job.webhook is not None:
        tx.conn.execute(
            insert(rows.outbox),
            {
                "tenant": job.tenant,
                "job_id": job.id,
                "url": job.webhook["url"],
                "payload": codec.dumps(change.webhook),
                "tries": 0,
                "next_try_us": now_us,
            },
        )
        begin_delivery(tx, job.tenant, job.id, now_us)
    audit.count_work(tx, change, now_us)


def begin_delivery(tx: Tx, tenant: str, job_id: str, now_us: int) -> None:
    """Record that a job's webhook is to be sent from now on."""
    values = {
        "state": "waiting",
        "tries": 0,
        "detail": "",
        "at_us": now_us,
        "status_code": None,
        "next_try_us": now_us,
    }
    first = tx.upsert(rows.delivery).values(job_id=job_id, tenant=tenant, **values)
    tx.conn.execute(first.on_conflict_do_update(index_elements=["job_id"], set_=values))


def put_checkpoint(tx: Tx, job_id: str, fence: int, data: bytes) -> None:
    """Insert or replace the checkpoint of a job."""
    row = {"fence": fence, "data": data}
    first = tx.upsert(rows.checkpoint).values(job_id=job_id, **row)
    tx.conn.execute(first.on_conflict_do_update(index_elements=["job_id"], set_=row))


def put_memo(tx: Tx, job_id: str, memo: MemoRecord) -> None:
    """Insert or replace the memo of a job."""
    row = {
        "revision": memo.revision,
        "digest": memo.digest,
        "approved": memo.approved,
        "body": codec.dumps(memo.body),
    }
    first = tx.upsert(rows.memo).values(job_id=job_id, **row)
    tx.conn.execute(first.on_conflict_do_update(index_elements=["job_id"], set_=row))


def add_events(tx: Tx, change: JobChange, now_us: int) -> None:
    """Insert the events of a change, with seqs that end at the job's `last_seq`."""
    events = event_rows(change, now_us)
    if events:
        tx.conn.execute(insert(rows.event), events)


def event_rows(change: JobChange, now_us: int) -> list[dict[str, Any]]:
    """Return the events of a change as rows."""
    first = change.job.last_seq - len(change.events) + 1
    return [
        {
            "job_id": change.job.id,
            "seq": seq,
            "type": str(event.type),
            "at_us": now_us,
            "data": codec.dumps(event.data),
        }
        for seq, event in enumerate(change.events, first)
    ]


def refer(
    tx: Tx, *, tenant: str, job_id: str, role: str, digests: tuple[str, ...]
) -> None:
    """Insert references of a job to files, which keep the files."""
    references = reference_rows(tenant=tenant, job_id=job_id, role=role, digests=digests)
    if references:
        # Rows as parameters: values within the statement would be compiled again at every submit.
        first = tx.upsert(rows.reference).on_conflict_do_nothing()
        tx.conn.execute(first, references)


def reference_rows(
    *, tenant: str, job_id: str, role: str, digests: tuple[str, ...]
) -> list[dict[str, str]]:
    """Return references as rows, one per file."""
    return [
        {"job_id": job_id, "role": role, "digest": digest, "tenant": tenant}
        for digest in dict.fromkeys(digests)
    ]

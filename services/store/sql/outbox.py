"""Webhook deliveries: sent at least once, by one dispatcher at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, select, update

from services.store import changes, codec
from services.store.changes import microseconds
from services.store.refusals import nothing_to_send
from services.store.sql import rows, write
from services.store.sql.tx import Tx
from services.store.types import DeliveryRecord, JobRecord, OutboxRecord
from services.store.upkeep import Delivered, DeliveryAttemptRecord

KEPT_ATTEMPTS = 50  # of one job

_DUE = (
    select(rows.outbox)
    .where(rows.outbox.c.next_try_us <= bindparam("now"))
    .order_by(rows.outbox.c.next_try_us, rows.outbox.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_ONE = rows.outbox.c.id == bindparam("of_id")
_PUSH = update(rows.outbox).where(_ONE).values(next_try_us=bindparam("until"))
_AGAIN = (
    update(rows.outbox)
    .where(_ONE)
    .values(next_try_us=bindparam("until"), tries=rows.outbox.c.tries + 1)
)
_GET = select(rows.outbox).where(_ONE)
_DONE = delete(rows.outbox).where(_ONE)


def due(tx: Tx, limit: int, lock_s: float) -> list[OutboxRecord]:
    """Take due deliveries and postpone their next try, so that a crash delays and loses none."""
    now = tx.now_us()
    until = now + microseconds(lock_s)
    records = [
        rows.outbox_record(row)
        for row in tx.conn.execute(_DUE, {"now": now, "most": limit}).all()
    ]
    if records:
        tx.conn.execute(_PUSH, [{"of_id": one.id, "until": until} for one in records])
    return [replace(one, next_try_us=until) for one in records]


def done(
    tx: Tx, outbox_id: int, delivered: bool, detail: str, status_code: int | None
) -> None:
    """Remove a delivery and record how it ended."""
    row = tx.conn.execute(_GET, {"of_id": outbox_id}).one_or_none()
    if row is None:
        return
    tx.conn.execute(_DONE, {"of_id": outbox_id})
    state = "delivered" if delivered else "given up"
    _record(tx, row, state, row.tries + 1, detail, status_code, None)


def retry(
    tx: Tx, outbox_id: int, delay_s: float, detail: str, status_code: int | None
) -> None:
    """Postpone a delivery and record why."""
    until = tx.now_us() + microseconds(delay_s)
    tx.conn.execute(_AGAIN, {"of_id": outbox_id, "until": until})
    row = tx.conn.execute(_GET, {"of_id": outbox_id}).one_or_none()
    if row is not None:
        _record(tx, row, "waiting", row.tries, detail, status_code, until)


def delivery(tx: Tx, job_id: str) -> DeliveryRecord | None:
    """Return the delivery state of a job; None before it has ended."""
    row = tx.conn.execute(
        select(rows.delivery).where(rows.delivery.c.job_id == job_id)
    ).one_or_none()
    return None if row is None else rows.delivery_record(row)


def list_deliveries(
    tx: Tx, tenant: str | None, states: Sequence[str], limit: int, before: str | None
) -> list[Delivered]:
    """List deliveries, those of the newest jobs first."""
    made, job = rows.delivery, rows.job
    query = (
        select(made, job.c.webhook)
        .join(job, job.c.id == made.c.job_id)
        .order_by(made.c.job_id.desc())
        .limit(limit)
    )
    if tenant is not None:
        query = query.where(made.c.tenant == tenant)
    if states:
        query = query.where(made.c.state.in_(list(states)))
    if before is not None:
        query = query.where(made.c.job_id < before)
    return [
        Delivered(
            record=rows.delivery_record(row),
            url=str((codec.optional_loads(row.webhook) or {}).get("url", "")),
        )
        for row in tx.conn.execute(query)
    ]


def attempts(tx: Tx, job_id: str) -> list[DeliveryAttemptRecord]:
    """Return the newest tries to deliver a job's webhook, oldest first."""
    tried = rows.delivery_attempt
    query = select(tried).where(tried.c.job_id == job_id).order_by(tried.c.number)
    return [
        DeliveryAttemptRecord(
            number=row.number,
            at_us=row.at_us,
            status_code=row.status_code,
            detail=row.detail,
        )
        for row in tx.conn.execute(query)
    ]


def resend(tx: Tx, job: JobRecord) -> None:
    """Send the webhook of an ended job again: its waiting delivery now, or a new one."""
    payload = changes.webhook_payload(job)
    if job.webhook is None or payload is None or not job.state.is_terminal:
        raise nothing_to_send(job)
    now = tx.now_us()
    waiting = (
        update(rows.outbox)
        .where(rows.outbox.c.job_id == job.id)
        .values(next_try_us=now, tries=0)
    )
    if tx.conn.execute(waiting).rowcount == 0:
        tx.conn.execute(
            insert(rows.outbox),
            {
                "tenant": job.tenant,
                "job_id": job.id,
                "url": job.webhook["url"],
                "payload": codec.dumps(payload),
                "tries": 0,
                "next_try_us": now,
            },
        )
    write.begin_delivery(tx, job.tenant, job.id, now)


def _record(
    tx: Tx,
    row: Row[Any],
    state: str,
    tries: int,
    detail: str,
    status_code: int | None,
    next_try_us: int | None,
) -> None:
    """Record a try for the owner of the job, unless the job was deleted meanwhile."""
    job_id = row.job_id
    there = select(rows.job.c.id).where(rows.job.c.id == job_id)
    if tx.conn.execute(there).one_or_none() is None:
        return
    now = tx.now_us()
    values = {
        "state": state,
        "tries": tries,
        "detail": detail,
        "at_us": now,
        "status_code": status_code,
        "next_try_us": next_try_us,
    }
    first = tx.upsert(rows.delivery).values(job_id=job_id, tenant=row.tenant, **values)
    tx.conn.execute(first.on_conflict_do_update(index_elements=["job_id"], set_=values))
    tried = rows.delivery_attempt
    last = tx.conn.execute(
        select(func.max(tried.c.number)).where(tried.c.job_id == job_id)
    ).scalar_one()
    number = (last or 0) + 1
    attempt = tx.upsert(tried).values(
        job_id=job_id,
        number=number,
        at_us=now,
        status_code=status_code,
        detail=detail,
    )
    # Two senders of one delivery, after a lapsed lock: either one's try is recorded.
    tx.conn.execute(attempt.on_conflict_do_nothing())
    old = delete(tried).where(
        tried.c.job_id == job_id, tried.c.number <= number - KEPT_ATTEMPTS
    )
    tx.conn.execute(old)

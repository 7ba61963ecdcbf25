"""Webhook deliveries: sent at least once, by one dispatcher at a time."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import bindparam, delete, select, update

from services.store.changes import microseconds
from services.store.sql import rows
from services.store.sql.tx import Tx
from services.store.types import DeliveryRecord, OutboxRecord

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


def done(tx: Tx, outbox_id: int, delivered: bool, detail: str) -> None:
    """Remove a delivery and record how it ended."""
    row = tx.conn.execute(_GET, {"of_id": outbox_id}).one_or_none()
    if row is None:
        return
    tx.conn.execute(_DONE, {"of_id": outbox_id})
    _record(
        tx,
        row.job_id,
        state="delivered" if delivered else "given up",
        tries=row.tries + 1,
        detail=detail,
    )


def retry(tx: Tx, outbox_id: int, delay_s: float, detail: str) -> None:
    """Postpone a delivery and record why."""
    tx.conn.execute(
        _AGAIN, {"of_id": outbox_id, "until": tx.now_us() + microseconds(delay_s)}
    )
    row = tx.conn.execute(_GET, {"of_id": outbox_id}).one_or_none()
    if row is not None:
        _record(tx, row.job_id, state="waiting", tries=row.tries, detail=detail)


def delivery(tx: Tx, job_id: str) -> DeliveryRecord | None:
    """Return the delivery state of a job; None before the first try."""
    row = tx.conn.execute(
        select(rows.delivery).where(rows.delivery.c.job_id == job_id)
    ).one_or_none()
    return None if row is None else rows.delivery_record(row)


def _record(tx: Tx, job_id: str, **values: object) -> None:
    if (
        tx.conn.execute(
            select(rows.job.c.id).where(rows.job.c.id == job_id)
        ).one_or_none()
        is None
    ):
        return  # the job was deleted meanwhile
    values = {**values, "at_us": tx.now_us()}
    insert = tx.upsert(rows.delivery).values(job_id=job_id, **values)
    tx.conn.execute(insert.on_conflict_do_update(index_elements=["job_id"], set_=values))

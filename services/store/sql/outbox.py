"""Webhook deliveries: at least once, by one dispatcher at a time."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import bindparam, delete, select, update

from services.store.changes import microseconds
from services.store.sql import rows
from services.store.sql.tx import Tx
from services.store.types import OutboxRecord

_DUE = (
    select(rows.outbox)
    .where(rows.outbox.c.next_try_us <= bindparam("now"))
    .order_by(rows.outbox.c.next_try_us, rows.outbox.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_ONE = rows.outbox.c.id == bindparam("of_id")
_PUSH = update(rows.outbox).where(_ONE).values(next_try_us=bindparam("until"))
_AGAIN = update(rows.outbox).where(_ONE).values(next_try_us=bindparam("until"), tries=rows.outbox.c.tries + 1)
_DONE = delete(rows.outbox).where(_ONE)


def due(tx: Tx, limit: int, lock_s: float) -> list[OutboxRecord]:
    """Taken: their next try is pushed ahead, so a dispatcher that dies delays them and loses none."""
    now = tx.now_us()
    until = now + microseconds(lock_s)
    found = [rows.outbox_record(row) for row in tx.conn.execute(_DUE, {"now": now, "most": limit}).all()]
    if found:
        tx.conn.execute(_PUSH, [{"of_id": row.id, "until": until} for row in found])
    return [replace(row, next_try_us=until) for row in found]


def done(tx: Tx, outbox_id: int) -> None:
    """Remove."""
    tx.conn.execute(_DONE, {"of_id": outbox_id})


def retry(tx: Tx, outbox_id: int, delay_s: float) -> None:
    """Later again."""
    tx.conn.execute(_AGAIN, {"of_id": outbox_id, "until": tx.now_us() + microseconds(delay_s)})

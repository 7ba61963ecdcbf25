"""Browser sessions that were ended before they expired."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select

from services.store.sql import rows
from services.store.sql.tx import Tx

_ended = rows.ended_session
_GET = select(_ended.c.id).where(_ended.c.id == bindparam("of_id"))
_EXPIRED = delete(_ended).where(_ended.c.expires_us < bindparam("now"))


def end(tx: Tx, session_id: str, expires_us: int) -> None:
    """Record the end of a session; rows of sessions that have expired are deleted."""
    tx.conn.execute(_EXPIRED, {"now": tx.now_us()})
    insert = tx.upsert(_ended).values(id=session_id, expires_us=expires_us)
    tx.conn.execute(insert.on_conflict_do_nothing())


def ended(tx: Tx, session_id: str) -> bool:
    """Return True after `end`."""
    return tx.conn.execute(_GET, {"of_id": session_id}).one_or_none() is not None


def probe_write(tx: Tx) -> None:
    """Write one row, always the same."""
    insert = tx.upsert(rows.counter).values(name="readiness", value=tx.now_us())
    tx.conn.execute(
        insert.on_conflict_do_update(index_elements=["name"], set_={"value": tx.now_us()})
    )

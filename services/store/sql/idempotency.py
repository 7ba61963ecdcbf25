"""Idempotency keys: whoever inserts the row first makes the jobs; everybody else reads it."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select

from services.store import codec
from services.store.changes import microseconds
from services.store.said import require_same_request
from services.store.sql import rows
from services.store.sql.tx import Tx
from services.store.types import Idempotency

_KNOWN = select(rows.idempotency).where(
    rows.idempotency.c.tenant == bindparam("tenant"), rows.idempotency.c.key == bindparam("key")
)
_PURGE = delete(rows.idempotency).where(rows.idempotency.c.expires_us <= bindparam("now"))


def reserve(tx: Tx, tenant: str, came: Idempotency, job_ids: list[str], now_us: int) -> list[str] | None:
    """None: the key is ours, go on. Otherwise the jobs it made before. Raises Conflict when the body differs.

    On PostgreSQL a second insert of the same key waits here until the first has committed, then reads its row.
    """
    insert = tx.upsert(rows.idempotency).values(
        tenant=tenant,
        key=came.key,
        request_digest=came.request_digest,
        job_ids=codec.dumps(job_ids),
        expires_us=now_us + microseconds(came.ttl_s),
    )
    fresh = {name: insert.excluded[name] for name in ("request_digest", "job_ids", "expires_us")}
    expired = rows.idempotency.c.expires_us <= now_us
    claim = insert.on_conflict_do_update(index_elements=["tenant", "key"], set_=fresh, where=expired)
    if tx.conn.execute(claim.returning(rows.idempotency.c.key)).one_or_none() is not None:
        return None
    known = tx.conn.execute(_KNOWN, {"tenant": tenant, "key": came.key}).one()
    require_same_request(came, known.request_digest)
    found: list[str] = codec.loads(known.job_ids)
    return found


def purge(tx: Tx, now_us: int) -> None:
    """Forget expired keys."""
    tx.conn.execute(_PURGE, {"now": now_us})

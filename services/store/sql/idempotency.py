"""Idempotency keys: the transaction that inserts the row creates the jobs; others read it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from services.store import codec
from services.store.changes import microseconds
from services.store.refusals import require_same_request
from services.store.sql import rows
from services.store.sql.inserts import execute_text, text_of
from services.store.sql.tx import Tx
from services.store.types import Idempotency

_STORED = select(rows.idempotency).where(
    rows.idempotency.c.tenant == bindparam("tenant"),
    rows.idempotency.c.key == bindparam("key"),
)


def _claim(insert: Any) -> Any:
    """Return the statement that writes the row if the key is new or has expired.

    Built once, because every submit executes it.
    """
    insert = insert.values(
        tenant=bindparam("of_tenant"),
        key=bindparam("of_key"),
        request_digest=bindparam("digest"),
        job_ids=bindparam("ids"),
        expires_us=bindparam("expires"),
    )
    fresh = {
        name: insert.excluded[name]
        for name in ("request_digest", "job_ids", "expires_us")
    }
    expired = rows.idempotency.c.expires_us <= bindparam("now")
    claim = insert.on_conflict_do_update(
        index_elements=["tenant", "key"], set_=fresh, where=expired
    )
    return claim.returning(rows.idempotency.c.key)


_CLAIM = {
    "sqlite": text_of(_claim(sqlite.insert(rows.idempotency)), "sqlite"),
    "postgresql": text_of(_claim(postgresql.insert(rows.idempotency)), "postgresql"),
}
_PURGE = delete(rows.idempotency).where(rows.idempotency.c.expires_us <= bindparam("now"))


def reserve(
    tx: Tx, tenant: str, idempotency: Idempotency, job_ids: list[str], now_us: int
) -> list[str] | None:
    """Reserve a key for these jobs; None if it is new, else the jobs it created before.

    Raises Conflict if the body differs. On PostgreSQL a second insert of the same key waits here
    until the first has committed, and then reads its row.
    """
    row = {
        "of_tenant": tenant,
        "of_key": idempotency.key,
        "digest": idempotency.request_digest,
        "ids": codec.dumps(job_ids),
        "expires": now_us + microseconds(idempotency.ttl_s),
        "now": now_us,
    }
    if execute_text(tx, _CLAIM[tx.conn.dialect.name], row) is not None:
        return None
    stored = tx.conn.execute(_STORED, {"tenant": tenant, "key": idempotency.key}).one()
    require_same_request(idempotency, stored.request_digest)
    earlier_ids: list[str] = codec.loads(stored.job_ids)
    return earlier_ids


def purge(tx: Tx, now_us: int) -> None:
    """Delete expired keys."""
    tx.conn.execute(_PURGE, {"now": now_us})

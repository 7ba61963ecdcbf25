"""Idempotency keys: whoever inserts the row first makes the jobs; everybody else reads it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from services.store import codec
from services.store.changes import microseconds
from services.store.refusals import require_same_request
from services.store.sql import rows
from services.store.sql.tx import Tx
from services.store.types import Idempotency

_KNOWN = select(rows.idempotency).where(
    rows.idempotency.c.tenant == bindparam("tenant"),
    rows.idempotency.c.key == bindparam("key"),
)


def _claim(insert: Any) -> Any:
    """The row is written when the key is new, or known but expired. Built once: it is on the path of every submit."""
    insert = insert.values(
        tenant=bindparam("of_tenant"),
        key=bindparam("of_key"),
        request_digest=bindparam("digest"),
        job_ids=bindparam("ids"),
        expires_us=bindparam("expires"),
    )
    fresh = {
        name: insert.excluded[name] for name in ("request_digest", "job_ids", "expires_us")
    }
    expired = rows.idempotency.c.expires_us <= bindparam("now")
    claim = insert.on_conflict_do_update(
        index_elements=["tenant", "key"], set_=fresh, where=expired
    )
    return claim.returning(rows.idempotency.c.key)


_CLAIM_SQLITE = _claim(sqlite.insert(rows.idempotency))
_CLAIM_POSTGRES = _claim(postgresql.insert(rows.idempotency))
_PURGE = delete(rows.idempotency).where(rows.idempotency.c.expires_us <= bindparam("now"))


def reserve(
    tx: Tx, tenant: str, came: Idempotency, job_ids: list[str], now_us: int
) -> list[str] | None:
    """None: the key is ours, go on. Otherwise the jobs it made before. Raises Conflict when the body differs.

    On PostgreSQL a second insert of the same key waits here until the first has committed, then reads its row.
    """
    row = {
        "of_tenant": tenant,
        "of_key": came.key,
        "digest": came.request_digest,
        "ids": codec.dumps(job_ids),
        "expires": now_us + microseconds(came.ttl_s),
        "now": now_us,
    }
    claim = _CLAIM_POSTGRES if tx.conn.dialect.name == "postgresql" else _CLAIM_SQLITE
    if tx.conn.execute(claim, row).one_or_none() is not None:
        return None
    known = tx.conn.execute(_KNOWN, {"tenant": tenant, "key": came.key}).one()
    require_same_request(came, known.request_digest)
    found: list[str] = codec.loads(known.job_ids)
    return found


def purge(tx: Tx, now_us: int) -> None:
    """Forget expired keys."""
    tx.conn.execute(_PURGE, {"now": now_us})

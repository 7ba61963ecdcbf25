"""Rows of API keys."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import bindparam, or_, select, update

from services.store import codec
from services.store.changes import microseconds
from services.store.refusals import dead_key, key_exists, no_such_key
from services.store.sql import rows
from services.store.sql.tx import Tx
from services.store.types import ApiKeyRecord

_key = rows.api_key
_GET = select(_key).where(_key.c.id == bindparam("of_id"))
_REVOKE = update(_key).where(_key.c.id == bindparam("of_id")).values(revoked=1)


def put(tx: Tx, record: ApiKeyRecord) -> None:
    """Insert a key. Raises Conflict if the id is in use."""
    insert = tx.upsert(_key).values(
        id=record.id,
        tenant=record.tenant,
        name=record.name,
        secret_sha256=record.secret_sha256,
        scopes=codec.dumps(list(record.scopes)),
        created_us=record.created_us,
        expires_us=record.expires_us,
        revoked=int(record.revoked),
        limits=codec.dumps(record.limits),
    )
    if (
        tx.conn.execute(
            insert.on_conflict_do_nothing().returning(_key.c.id)
        ).one_or_none()
        is None
    ):
        raise key_exists(record.id)


def get(tx: Tx, key_id: str) -> ApiKeyRecord | None:
    """Return a key; None if unknown."""
    row = tx.conn.execute(_GET, {"of_id": key_id}).one_or_none()
    return None if row is None else rows.key_record(row)


def list_keys(tx: Tx, tenant: str | None) -> list[ApiKeyRecord]:
    """List keys, oldest first."""
    query = select(_key).order_by(_key.c.created_us, _key.c.id)
    if tenant is not None:
        query = query.where(_key.c.tenant == tenant)
    return [rows.key_record(row) for row in tx.conn.execute(query)]


def revoke(tx: Tx, key_id: str) -> None:
    """Mark a key as revoked. Raises NotFound."""
    if tx.conn.execute(_REVOKE, {"of_id": key_id}).rowcount == 0:
        raise no_such_key(key_id)


def rotate(tx: Tx, key_id: str, new_sha256: str, overlap_s: float) -> ApiKeyRecord:
    """Replace the secret; the old one works during the overlap. Raises NotFound and Conflict."""
    row = tx.conn.execute(_GET.with_for_update(), {"of_id": key_id}).one_or_none()
    if row is None:
        raise no_such_key(key_id)
    now = tx.now_us()
    if row.revoked:
        raise dead_key(key_id, "was revoked")
    if row.expires_us is not None and row.expires_us <= now:
        raise dead_key(key_id, "has expired")
    values = {
        "secret_sha256": new_sha256,
        "old_sha256": row.secret_sha256,
        "old_until_us": now + microseconds(overlap_s),
    }
    tx.conn.execute(update(_key).where(_key.c.id == key_id).values(**values))
    return rows.key_record(tx.conn.execute(_GET, {"of_id": key_id}).one())


def touch(tx: Tx, used_us: Mapping[str, int]) -> None:
    """Record when keys were last used; an earlier time changes nothing."""
    later = update(_key).where(
        _key.c.id == bindparam("of_id"),
        or_(_key.c.last_used_us.is_(None), _key.c.last_used_us < bindparam("used")),
    )
    pairs = [{"of_id": key, "used": used} for key, used in sorted(used_us.items())]
    if pairs:
        tx.conn.execute(later.values(last_used_us=bindparam("used")), pairs)

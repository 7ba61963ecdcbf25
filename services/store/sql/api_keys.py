"""Rows of API keys."""

from __future__ import annotations

from sqlalchemy import bindparam, select, update

from services.store import codec
from services.store.refusals import key_exists, no_such_key
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

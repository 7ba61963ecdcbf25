"""Rows of stored files and the references that keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import and_, bindparam, delete, exists, func, or_, select

from services.store.refusals import no_such_artifact
from services.store.sql import rows
from services.store.sql.tx import Tx
from services.store.types import ArtifactRecord, ModelState

_file, _ref = rows.artifact, rows.reference
_THIS = and_(
    _file.c.tenant == bindparam("of_tenant"), _file.c.digest == bindparam("of_digest")
)
_model = rows.model
# Two EXISTS for the two columns of a model: an OR of columns would use no index.
_REFERRED = or_(
    exists().where(_ref.c.tenant == _file.c.tenant, _ref.c.digest == _file.c.digest),
    *(
        exists().where(
            _model.c.tenant == _file.c.tenant,
            column == _file.c.digest,
            _model.c.state != ModelState.REJECTED.value,
        )
        for column in (_model.c.digest, _model.c.picture)
    ),
)
_GET = select(_file).where(_THIS)
_BYTES = select(func.coalesce(func.sum(_file.c.size_bytes), 0)).where(
    _file.c.tenant == bindparam("of_tenant")
)
_ANY = (
    select(_file)
    .where(_file.c.digest == bindparam("of_digest"))
    .order_by(_file.c.created_us, _file.c.tenant)
    .limit(1)
)
_UNUSED = (
    select(_file)
    .where(
        _file.c.created_us < bindparam("older_than"),
        _file.c.used_us < bindparam("older_than"),
        ~_REFERRED,
    )
    .order_by(_file.c.created_us, _file.c.digest, _file.c.tenant)
    .limit(bindparam("most"))
)
_SHARED = (
    select(_file.c.digest)
    .where(
        _file.c.tenant == bindparam("of_tenant"),
        _file.c.digest.in_(bindparam("some", expanding=True)),
    )
    .order_by(_file.c.digest)
    .with_for_update(read=True, key_share=True)
)
_CHUNK = 500  # digests in one IN list
_DELETE_UNUSED = delete(_file).where(_THIS, ~_REFERRED)


def put(tx: Tx, record: ArtifactRecord) -> ArtifactRecord:
    """Insert a row unless this tenant has the digest; returns the row that is stored."""
    insert = tx.upsert(_file).values(**asdict(record), used_us=record.created_us)
    tx.conn.execute(
        insert.on_conflict_do_update(
            index_elements=["tenant", "digest"],
            set_={"used_us": insert.excluded.used_us},
        )
    )
    this = {"of_tenant": record.tenant, "of_digest": record.digest}
    return rows.artifact_record(tx.conn.execute(_GET, this).one())


def get(tx: Tx, digest: str, tenant: str | None) -> ArtifactRecord:
    """Return this tenant's row; without a tenant, the oldest of all tenants."""
    if tenant is None:
        row = tx.conn.execute(_ANY, {"of_digest": digest}).one_or_none()
    else:
        row = tx.conn.execute(
            _GET, {"of_tenant": tenant, "of_digest": digest}
        ).one_or_none()
    if row is None:
        raise no_such_artifact(digest)
    return rows.artifact_record(row)


def total_bytes(tx: Tx, tenant: str) -> int:
    """Return the total size of a tenant's files."""
    return int(tx.conn.execute(_BYTES, {"of_tenant": tenant}).scalar_one())


def unreferenced(tx: Tx, older_than_us: int, limit: int) -> list[ArtifactRecord]:
    """Return rows for garbage collection, oldest first."""
    unused = tx.conn.execute(_UNUSED, {"older_than": older_than_us, "most": limit})
    return [rows.artifact_record(row) for row in unused]


def remove(tx: Tx, digest: str, tenant: str) -> bool:
    """Delete a row unless a job refers to it by now; True if no row of the digest is left."""
    this = {"of_tenant": tenant, "of_digest": digest}
    # Locked first, as by `share`: the delete then sees a reference made meanwhile.
    tx.conn.execute(_GET.with_for_update(), this)
    tx.conn.execute(_DELETE_UNUSED, this)
    return tx.conn.execute(_ANY, {"of_digest": digest}).one_or_none() is None


def share(tx: Tx, tenant: str, digests: Sequence[str]) -> None:
    """Lock files that new jobs name against deletion, until the transaction ends."""
    if tx.conn.dialect.name != "postgresql":
        return  # a single writer
    wanted = sorted(set(digests))
    for start in range(0, len(wanted), _CHUNK):
        some = {"of_tenant": tenant, "some": wanted[start : start + _CHUNK]}
        tx.conn.execute(_SHARED, some).all()


def unknown(tx: Tx, digests: Sequence[str]) -> list[str]:
    """Return the digests that no tenant has."""
    known: set[str] = set()
    for start in range(0, len(digests), _CHUNK):
        some = list(digests[start : start + _CHUNK])
        query = select(_file.c.digest).where(_file.c.digest.in_(some))
        known |= set(tx.conn.execute(query).scalars())
    return [digest for digest in digests if digest not in known]

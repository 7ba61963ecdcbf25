"""Audit log and usage. Entries are written in the transaction of the act and never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, or_, select

from services.store import codec
from services.store.changes import JobChange
from services.store.sql import rows
from services.store.sql.inserts import NewRows, insert_rows
from services.store.sql.tx import Tx
from services.store.upkeep import Actor, AuditFilter, AuditRecord, Deed, WorkDone

_audit = rows.audit
DAY_US = 86_400 * 1_000_000
_LONGEST = 4000  # characters of `detail`


def write(tx: Tx, actor: Actor, deed: Deed) -> None:
    """Append an entry."""
    row = entry(actor, deed, tx.now_us())
    insert_rows(tx, [NewRows(table=_audit, rows=[row])])


def entry(actor: Actor, deed: Deed, now_us: int) -> dict[str, Any]:
    """Return an entry as a row."""
    detail = codec.dumps(dict(deed.detail))
    if len(detail) > _LONGEST:
        detail = codec.dumps({"omitted_characters": len(detail)})
    return {
        "at_us": now_us,
        "tenant": actor.tenant,
        "key_id": actor.key_id,
        "action": deed.action,
        "target": codec.storable(deed.target)[:200],
        "address": codec.storable(actor.address)[:100],
        "agent": codec.storable(actor.agent)[:100],
        "detail": detail,
    }


def list_audit(
    tx: Tx, where: AuditFilter, limit: int, before_id: int | None
) -> list[AuditRecord]:
    """List entries, newest first."""
    query = select(_audit).order_by(_audit.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(_audit.c.id < before_id)
    for column, value in (
        (_audit.c.tenant, where.tenant),
        (_audit.c.key_id, where.key_id),
        (_audit.c.target, where.target),
    ):
        if value is not None:
            query = query.where(column == value)
    if where.action is not None:
        family = _audit.c.action.startswith(f"{where.action}.", autoescape=True)
        query = query.where(or_(_audit.c.action == where.action, family))
    if where.after_us is not None:
        query = query.where(_audit.c.at_us >= where.after_us)
    if where.before_us is not None:
        query = query.where(_audit.c.at_us < where.before_us)
    return [
        AuditRecord(**{**row._mapping, "detail": codec.loads(row.detail)})
        for row in tx.conn.execute(query)
    ]


def drop(tx: Tx, before_us: int, limit: int) -> int:
    """Delete at most `limit` of the oldest entries, if they are before a time."""
    oldest = select(_audit.c.id, _audit.c.at_us).order_by(_audit.c.id).limit(limit)
    ids = [row.id for row in tx.conn.execute(oldest) if row.at_us < before_us]
    if not ids:
        return 0
    # Ids between them are of the same time: the log is cut at its oldest end only.
    gone = delete(_audit).where(_audit.c.id <= ids[-1], _audit.c.at_us < before_us)
    return tx.conn.execute(gone).rowcount


_ADDED = {name: getattr(rows.usage.c, name) for name in ("jobs", "attempts", "busy_us")}
_STARTED = select(rows.attempt.c.started_us).where(
    rows.attempt.c.job_id == bindparam("of_job"),
    rows.attempt.c.fence == bindparam("of_fence"),
)


def count_work(tx: Tx, change: JobChange, now_us: int) -> None:
    """Add an ended attempt, and an ended job, to the usage of its tenant."""
    job = change.job
    busy_us = attempts = 0
    if change.outcome is not None:
        key = {"of_job": job.id, "of_fence": job.fence}
        started = tx.conn.execute(_STARTED, key).scalar_one_or_none()
        attempts = 1
        busy_us = 0 if started is None else max(0, now_us - started)
    jobs = int(job.finished_us == now_us and job.state.is_terminal)
    if not (jobs or attempts):
        return
    insertion = tx.upsert(rows.usage).values(
        tenant=job.tenant,
        day=now_us // DAY_US,
        kind=job.kind,
        jobs=jobs,
        attempts=attempts,
        busy_us=busy_us,
    )
    added = {name: column + insertion.excluded[name] for name, column in _ADDED.items()}
    tx.conn.execute(
        insertion.on_conflict_do_update(
            index_elements=["tenant", "day", "kind"], set_=added
        )
    )


def usage(tx: Tx, tenant: str) -> tuple[Mapping[str, WorkDone], int, int, int]:
    """Return work by kind, and the numbers of events, files and bytes of files."""
    used, job, file = rows.usage, rows.job, rows.artifact
    work = select(
        used.c.kind,
        func.sum(used.c.jobs),
        func.sum(used.c.attempts),
        func.sum(used.c.busy_us),
    )
    of_tenant = work.where(used.c.tenant == tenant).group_by(used.c.kind)
    kinds = {
        kind: WorkDone(jobs=int(jobs), attempts=int(attempts), busy_us=int(busy_us))
        for kind, jobs, attempts, busy_us in tx.conn.execute(of_tenant)
    }
    events = tx.conn.execute(
        select(func.sum(job.c.last_seq)).where(
            job.c.tenant == tenant, job.c.events_cut == 0
        )
    ).scalar_one()
    files, size = tx.conn.execute(
        select(func.count(), func.sum(file.c.size_bytes)).where(file.c.tenant == tenant)
    ).one()
    return kinds, int(events or 0), int(files), int(size or 0)


def texts_of(where: AuditFilter) -> Sequence[str]:
    """Return the texts of a filter, which a database may refuse."""
    return [
        value
        for value in (where.tenant, where.key_id, where.action, where.target)
        if value is not None
    ]

"""Operations of job owners: read, cancel, stop, re-drive, delete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update

from services.store import changes, codec, graphs, plans
from services.store.changes import JobChange
from services.store.lifecycle import Verb
from services.store.refusals import no_such_job, replay_of_deleted
from services.store.sql import artifacts, graph, rows, write
from services.store.sql.inserts import NewRows, insert_rows
from services.store.sql.tx import Tx
from services.store.types import (
    Approval,
    AttemptRecord,
    EventRecord,
    JobRecord,
    Memo,
    MemoRecord,
    NewJob,
    Submitted,
)
from trimtab.results import EventType, JobState
from trimtab.specs.common import JobChanges

_GET = rows.full_job().where(rows.job.c.id == bindparam("job_id"))
_GET_LOCKED = _GET.with_for_update(of=rows.job)
_GET_MANY = rows.full_job().where(rows.job.c.id.in_(bindparam("job_ids", expanding=True)))
_DELETE = delete(rows.job).where(rows.job.c.id == bindparam("job_id"))
_EVENTS = (
    select(rows.event)
    .where(
        rows.event.c.job_id == bindparam("job_id"), rows.event.c.seq > bindparam("after")
    )
    .order_by(rows.event.c.seq)
    .limit(bindparam("most"))
)
_NEWEST_EVENTS = (
    select(rows.event)
    .where(
        rows.event.c.job_id == bindparam("job_id"), rows.event.c.type == bindparam("of")
    )
    .order_by(rows.event.c.seq.desc())
    .limit(bindparam("most"))
)
_ATTEMPTS = (
    select(rows.attempt)
    .where(rows.attempt.c.job_id == bindparam("job_id"))
    .order_by(rows.attempt.c.fence)
)
_CHUNK = 500  # ids in one IN list


def insert_placed(
    tx: Tx,
    jobs: Sequence[NewJob],
    placed: Sequence[graphs.Placed],
    now_us: int,
    *more: NewRows,
) -> None:
    """Insert new jobs with their specs, events, labels, edges and references to files.

    more: rows that are inserted with them.
    """
    job_changes = [one.change for one in placed]
    insert_rows(tx, [*_job_rows(jobs, job_changes, now_us), *more])
    graph.insert_links(tx, placed)
    named = [
        digest
        for new, change in zip(jobs, job_changes, strict=True)
        for digest in (*new.artifacts, *change.keeps)
    ]
    if not named:
        return
    artifacts.share(tx, jobs[0].tenant, named)
    for new, change in zip(jobs, job_changes, strict=True):
        write.refer(
            tx,
            tenant=new.tenant,
            job_id=change.job.id,
            role="input",
            digests=(*new.artifacts, *change.keeps),
        )


def _job_rows(
    jobs: Sequence[NewJob], job_changes: Sequence[JobChange], now_us: int
) -> Iterator[NewRows]:
    """Yield the rows of new jobs for each table that always or often has some."""
    created = [change.job for change in job_changes]
    yield NewRows(table=rows.job, rows=[rows.new_job_row(job) for job in created])
    specs = [{"job_id": job.id, "spec": codec.dumps(job.spec)} for job in created]
    yield NewRows(table=rows.spec, rows=specs)
    events = [row for change in job_changes for row in write.event_rows(change, now_us)]
    yield NewRows(table=rows.event, rows=events)
    labels = [row for job in created for row in _label_rows(job)]
    yield NewRows(table=rows.label, rows=labels)
    chosen = [
        {"job_id": job.id, "wanted": new.model, "models": None}
        for new, job in zip(jobs, created, strict=True)
        if new.model != "auto"
    ]
    yield NewRows(table=rows.job_models, rows=chosen)


def get(tx: Tx, job_id: str, tenant: str | None) -> JobRecord:
    """Return a job with spec and result. Raises NotFound."""
    return _visible(
        tx.conn.execute(_GET, {"job_id": job_id}).one_or_none(), job_id, tenant
    )


def get_locked(tx: Tx, job_id: str, tenant: str | None) -> JobRecord:
    """Return a job and lock its row until the transaction ends. Raises NotFound."""
    return _visible(
        tx.conn.execute(_GET_LOCKED, {"job_id": job_id}).one_or_none(), job_id, tenant
    )


def rename(tx: Tx, job_id: str, tenant: str | None, changed: JobChanges) -> JobRecord:
    """Replace name or labels of a job. Raises NotFound."""
    job = changes.renamed(get_locked(tx, job_id, tenant), changed)
    tx.conn.execute(
        update(rows.job).where(rows.job.c.id == job_id).values(rows.naming_columns(job))
    )
    if changed.labels is not None:
        tx.conn.execute(delete(rows.label).where(rows.label.c.job_id == job_id))
        insert_rows(tx, [NewRows(table=rows.label, rows=list(_label_rows(job)))])
    return job


def request(tx: Tx, job_id: str, tenant: str | None, verb: Verb) -> JobRecord:
    """Cancel or stop a job and, if it is a plan, its jobs."""
    graph.lock_family(tx, job_id)
    job = get_locked(tx, job_id, tenant)
    now = tx.now_us()
    return plans.request(job, verb, graph.SqlLinks(tx=tx, now_us=now), now)


def memo(tx: Tx, job_id: str, tenant: str | None) -> MemoRecord | None:
    """Return the memo of a job; None before its first rest. Raises NotFound."""
    get(tx, job_id, tenant)
    return graph.SqlLinks(tx=tx, now_us=0).memo(job_id)


def put_memo(
    tx: Tx, job_id: str, new: Memo, revision: int, tenant: str | None
) -> MemoRecord:
    """Replace the memo of a job at rest."""
    job = get_locked(tx, job_id, tenant)
    now = tx.now_us()
    links = graph.SqlLinks(tx=tx, now_us=now)
    change = plans.put_memo(job, new, links, now, revision=revision)
    write.apply(tx, change, now)
    assert change.memo is not None
    return change.memo


def answer(
    tx: Tx, job_id: str, new: Memo, revision: int, tenant: str | None
) -> JobRecord:
    """Queue a job that needed input."""
    job = get_locked(tx, job_id, tenant)
    now = tx.now_us()
    links = graph.SqlLinks(tx=tx, now_us=now)
    change = plans.answer(job, new, links, now, revision=revision)
    write.apply(tx, change, now)
    return change.job


def approve(
    tx: Tx, job_id: str, approval: Approval, revision: int, tenant: str | None
) -> JobRecord:
    """Queue or suspend an approved job, and insert its jobs."""
    job = get_locked(tx, job_id, tenant)
    now = tx.now_us()
    links = graph.SqlLinks(tx=tx, now_us=now)
    started = plans.approve(job, approval, links, tx.new_id, now, revision=revision)
    if started is None:
        return job
    write.apply(tx, started.change, now)
    insert_placed(tx, started.children, started.placed, now)
    return started.change.job


def redrive(tx: Tx, job_id: str, tenant: str | None) -> JobRecord:
    """Queue an unsuccessful job again, with the jobs that it had skipped."""
    graph.lock_family(tx, job_id)
    return graph.redrive(tx, get_locked(tx, job_id, tenant), tx.now_us())


def remove(tx: Tx, job_id: str, tenant: str | None) -> None:
    """Delete an ended job; dependent rows follow by cascade."""
    job = get_locked(tx, job_id, tenant)
    changes.require_deletable(job, graph.waiting_child(tx, job_id))
    tx.conn.execute(_DELETE, {"job_id": job_id})


def events(tx: Tx, job_id: str, after_seq: int, limit: int) -> list[EventRecord]:
    """Return events with seq > after_seq, ascending."""
    page = tx.conn.execute(_EVENTS, {"job_id": job_id, "after": after_seq, "most": limit})
    return [rows.event_record(row) for row in page]


def newest_events(tx: Tx, job_id: str, of: EventType, limit: int) -> list[EventRecord]:
    """Return the newest events of a type, ascending."""
    newest = {"job_id": job_id, "of": of.value, "most": limit}
    page = tx.conn.execute(_NEWEST_EVENTS, newest)
    return [rows.event_record(row) for row in page][::-1]


def attempts(tx: Tx, job_id: str) -> list[AttemptRecord]:
    """Return the attempts of a job, oldest first."""
    return [
        rows.attempt_record(row) for row in tx.conn.execute(_ATTEMPTS, {"job_id": job_id})
    ]


def counts(tx: Tx, tenant: str | None) -> dict[JobState, int]:
    """Return the number of jobs by state, from an index alone."""
    job = rows.job
    query = select(job.c.state, func.count()).group_by(job.c.state)
    if tenant is not None:
        query = query.where(job.c.tenant == tenant)
    return dict.fromkeys(JobState, 0) | {
        JobState(state): number for state, number in tx.conn.execute(query)
    }


def oldest_queued_us(tx: Tx) -> int | None:
    """Return the creation time of the oldest QUEUED job."""
    job = rows.job
    query = select(func.min(job.c.created_us)).where(job.c.state == JobState.QUEUED.value)
    oldest: int | None = tx.conn.execute(query).scalar()
    return oldest


def replay(tx: Tx, job_ids: list[str], key: str) -> list[Submitted]:
    """Return the jobs that an idempotency key created before. Raises Conflict."""
    records: dict[str, JobRecord] = {}
    for chunk in _chunks(job_ids):
        records.update(
            (row.id, rows.job_record(row))
            for row in tx.conn.execute(_GET_MANY, {"job_ids": chunk})
        )
    for job_id in job_ids:
        if job_id not in records:
            raise replay_of_deleted(job_id, key)
    return [Submitted(job=records[job_id], replayed=True) for job_id in job_ids]


def _visible(row: Any, job_id: str, tenant: str | None) -> JobRecord:
    if row is None or tenant not in (None, row.tenant):
        raise no_such_job(job_id)
    return rows.job_record(row)


def _label_rows(job: JobRecord) -> Iterator[dict[str, Any]]:
    for name, value in job.labels.items():
        yield {"job_id": job.id, "name": name, "value": value}


def _chunks(job_ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(job_ids), _CHUNK):
        yield job_ids[start : start + _CHUNK]

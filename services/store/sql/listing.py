"""Listings of jobs: filters, search, orders, and pages that start after a position."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, not_, or_, select

from services.store.sql import rows
from services.store.sql.tx import Tx
from services.store.types import JobFilter, JobOrder, JobRecord, Position
from trimtab.results import JobSort
from trimtab.specs.common import MODEL_AUTO

_KEYS: Mapping[JobSort, Callable[[Any], ColumnElement[Any]]] = {
    JobSort.FINISHED: lambda c: c.finished_us,
    JobSort.RUN_TIME: lambda c: c.finished_us - c.started_us,
    JobSort.OBJECTIVE: lambda c: c.objective,
    JobSort.GAP: lambda c: c.gap,
    JobSort.NAME: lambda c: func.nullif(c.name_key, ""),
    JobSort.KIND: lambda c: c.kind,
    JobSort.STATE: lambda c: c.state,
}
_TEXTS = frozenset({JobSort.NAME, JobSort.KIND, JobSort.STATE})


def list_jobs(
    tx: Tx, where: JobFilter, limit: int, order: JobOrder, after: Position | None
) -> list[JobRecord]:
    """List jobs without spec and result.

    The ids of the page are found first: SQLite reads only `ix_job_listing` for them, not the rows,
    whose best solutions are kilobytes.
    """
    job = rows.job
    ids = _filtered(select(job.c.id), where)
    dialect = tx.conn.dialect.name
    by = _ordering(job.c, order, dialect)
    if after is not None:
        ids = ids.where(_beyond(job.c, order, after, dialect))
    inner = by
    if dialect == "sqlite" and where.tenant is None and (where.words or where.kinds):
        # In the order of the primary key, SQLite would read every row: 213 ms of 100,000 jobs
        # instead of 70 ms for the index and a sort.
        inner = [*by[:-1], _unindexed(job.c.id, descending=order.descending)]
    page = ids.order_by(*inner).limit(limit).subquery()
    query = select(job).where(job.c.id.in_(select(page.c.id))).order_by(*by)
    return [rows.job_record(row, listed=True) for row in tx.conn.execute(query)]


def _filtered(query: Select[Any], where: JobFilter) -> Select[Any]:
    job = rows.job
    if where.tenant is not None:
        query = query.where(job.c.tenant == where.tenant)
    if where.states:
        query = query.where(job.c.state.in_([str(state) for state in where.states]))
    if where.graph is not None:
        query = query.where(job.c.graph == where.graph)
    if where.kinds:
        query = query.where(job.c.kind.in_(list(where.kinds)))
    if where.created_after_us is not None:
        query = query.where(job.c.created_us >= where.created_after_us)
    if where.created_before_us is not None:
        query = query.where(job.c.created_us < where.created_before_us)
    for name, value in where.labels.items():
        label = rows.label.alias()
        having = select(label.c.job_id).where(
            label.c.name == name, label.c.value == value
        )
        query = query.where(job.c.id.in_(having))
    for word in where.words:
        query = query.where(
            or_(
                job.c.name_key.contains(word, autoescape=True),
                job.c.search_text.contains(word, autoescape=True),
            )
        )
    if where.model is not None:
        query = query.where(_of_model(where.model))
    return query


def _of_model(model: str) -> ColumnElement[bool]:
    """Return the condition that a request names `model`; auto has no row, or one that says so."""
    chosen = rows.job_models
    if model != MODEL_AUTO:
        named = select(chosen.c.job_id).where(chosen.c.wanted == model)
        return rows.job.c.id.in_(named)
    return not_(
        rows.job.c.id.in_(select(chosen.c.job_id).where(chosen.c.wanted != MODEL_AUTO))
    )


def _key(columns: Any, order: JobOrder, dialect: str) -> ColumnElement[Any]:
    key = _KEYS[order.sort](columns)
    # By code points in both databases, whatever the locale of the server.
    return key.collate("C") if dialect == "postgresql" and order.sort in _TEXTS else key


def _unindexed(column: ColumnElement[str], *, descending: bool) -> ColumnElement[str]:
    """Return an order by a column that no index gives."""
    plain = column.concat("")
    return plain.desc() if descending else plain.asc()


def _ordering(columns: Any, order: JobOrder, dialect: str) -> list[ColumnElement[Any]]:
    parts = []
    if order.sort is not JobSort.CREATED:
        key = _key(columns, order, dialect)
        parts += [key.is_(None), key.desc() if order.descending else key.asc()]
    parts.append(columns.id.desc() if order.descending else columns.id.asc())
    return parts


def _beyond(
    columns: Any, order: JobOrder, after: Position, dialect: str
) -> ColumnElement[bool]:
    """Return the condition that a job comes after `after`."""

    def later(column: ColumnElement[Any], than: Any) -> ColumnElement[bool]:
        beyond: ColumnElement[bool] = column < than if order.descending else column > than
        return beyond

    job_id: ColumnElement[str] = columns.id
    if order.sort is JobSort.CREATED:
        return later(job_id, after.id)
    key = _key(columns, order, dialect)
    if after.value is None:
        return and_(key.is_(None), later(job_id, after.id))
    return or_(
        key.is_(None),
        later(key, after.value),
        and_(key == after.value, later(job_id, after.id)),
    )

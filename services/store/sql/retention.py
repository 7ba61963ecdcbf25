"""Retention: where limits lie, and the deletion behind them in small transactions.

Jobs and files are ordered by (time, id). A step takes the oldest ones behind the place where the
step before it ended, deletes at most about `rows` rows, and returns its own end, so that a writer
waits for milliseconds and a crash loses nothing but the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, delete, exists, func, or_, select, tuple_, update

from services.store.changes import microseconds
from services.store.refusals import file_in_use, no_such_artifact
from services.store.sql import graph, rows
from services.store.sql.tx import Tx
from services.store.types import ModelState
from services.store.upkeep import Cutoffs, Place, Step, StoredFile
from trimtab.results import ENDED, EventType
from trimtab.upkeep import GRACE_S, RetentionReport, RetentionRule

_job, _file, _event, _ref = rows.job, rows.artifact, rows.event, rows.reference
_ENDED = [state.value for state in sorted(ENDED)]
_JOBS_AT_ONCE = 50  # of one step
_DAY_S = 86_400.0

_JOB_PLACE = tuple_(_job.c.finished_us, _job.c.id)
_FILE_PLACE = tuple_(_file.c.used_us, _file.c.digest)
_child = rows.job.alias("child")
_WAITED_FOR = (
    exists()
    .where(rows.edge.c.parent == _job.c.id, rows.edge.c.child == _child.c.id)
    .where(_child.c.state.not_in(_ENDED))
)
# A job that has not ended, or whose files a waiting job will read, refers to the file.
_LIVE_REFERENCE = (
    exists()
    .where(
        _ref.c.tenant == _file.c.tenant,
        _ref.c.digest == _file.c.digest,
        _ref.c.job_id == _job.c.id,
    )
    .where(or_(_job.c.state.not_in(_ENDED), _WAITED_FOR))
)
_OF_MODEL = tuple(
    exists().where(
        rows.model.c.tenant == _file.c.tenant,
        column == _file.c.digest,
        rows.model.c.state != ModelState.REJECTED.value,
    )
    for column in (rows.model.c.digest, rows.model.c.picture)
)
_IN_USE = or_(_LIVE_REFERENCE, *_OF_MODEL)


def rule_of(tx: Tx, tenant: str) -> RetentionRule:
    """Return the tenant's own rule."""
    stored = tx.conn.execute(
        select(rows.retention.c.rule).where(rows.retention.c.tenant == tenant)
    ).scalar_one_or_none()
    return (
        RetentionRule() if stored is None else RetentionRule.model_validate_json(stored)
    )


def put_rule(tx: Tx, tenant: str, rule: RetentionRule) -> None:
    """Replace the tenant's own rule."""
    values = {"rule": rule.model_dump_json(), "updated_us": tx.now_us()}
    insert = tx.upsert(rows.retention).values(tenant=tenant, **values)
    tx.conn.execute(insert.on_conflict_do_update(index_elements=["tenant"], set_=values))


def tenants(tx: Tx) -> list[str]:
    """Return every tenant with a key, a job or a file."""
    columns = (rows.api_key.c.tenant, _job.c.tenant, _file.c.tenant)
    found: set[str] = set()
    for column in columns:
        found |= set(_distinct(tx, column))
    return sorted(found)


def _distinct(tx: Tx, column: Any) -> list[str]:
    """Return the values of an indexed column, one index look-up for each."""
    values: list[str] = []
    query = select(func.min(column))
    while (value := tx.conn.execute(query).scalar_one_or_none()) is not None:
        values.append(str(value))
        query = select(func.min(column)).where(column > value)
    return values


def take_turn(tx: Tx, name: str, seconds: float) -> bool:
    """Return True for one caller until `seconds` have passed."""
    now = tx.now_us()
    until = now + microseconds(seconds)
    insert = tx.upsert(rows.counter).values(name=f"turn:{name}", value=until)
    claim = insert.on_conflict_do_update(
        index_elements=["name"],
        set_={"value": until},
        where=rows.counter.c.value <= now,
    ).returning(rows.counter.c.name)
    return tx.conn.execute(claim).one_or_none() is not None


def cutoffs(tx: Tx, tenant: str, rule: RetentionRule) -> Cutoffs:
    """Return where the limits of a rule lie now."""
    now = tx.now_us()
    recent = now - microseconds(GRACE_S)
    of_tenant = and_(_job.c.tenant == tenant, _job.c.finished_us.is_not(None))
    jobs = [_aged(now, rule.job_days)]
    if rule.job_count is not None:
        of_states = and_(of_tenant, _job.c.state.in_(_states(rule)))
        jobs.append(_beyond(tx, _JOB_PLACE, of_states, rule.job_count))
    events = [_aged(now, rule.event_days)]
    if rule.event_count is not None:
        uncut = and_(of_tenant, _job.c.events_cut == 0)
        size = _job.c.last_seq
        events.append(_beyond_sum(tx, _JOB_PLACE, uncut, size, rule.event_count))
    mine = _file.c.tenant == tenant
    files = [_aged(now, rule.file_days)]
    if rule.file_count is not None:
        files.append(_beyond(tx, _FILE_PLACE, mine, rule.file_count))
    if rule.file_bytes is not None:
        size = _file.c.size_bytes
        files.append(_beyond_sum(tx, _FILE_PLACE, mine, size, rule.file_bytes))
    return Cutoffs(
        jobs=_tightest(jobs, recent),
        events=_tightest(events, recent),
        files=_tightest(files, recent),
    )


def _states(rule: RetentionRule) -> list[str]:
    if rule.job_states is None:
        return _ENDED
    return [state.value for state in rule.job_states]


def _aged(now_us: int, days: float | None) -> Place | None:
    return None if days is None else (now_us - microseconds(days * _DAY_S), "")


def _beyond(tx: Tx, place: Any, where: Any, count: int) -> Place | None:
    """Return the newest place beyond the `count` newest ones."""
    time, name = place.clauses
    query = (
        select(time, name)
        .where(where)
        .order_by(time.desc(), name.desc())
        .offset(count)
        .limit(1)
    )
    row = tx.conn.execute(query).one_or_none()
    return None if row is None else (row[0], row[1])


def _beyond_sum(tx: Tx, place: Any, where: Any, size: Any, most: int) -> Place | None:
    """Return the newest place with more than `most` at it and behind it."""
    time, name = place.clauses
    total = func.sum(size).over(order_by=(time.desc(), name.desc()))
    sums = (
        select(time.label("at"), name.label("name"), total.label("total"))
        .where(where)
        .subquery()
    )
    query = (
        select(sums.c.at, sums.c.name)
        .where(sums.c.total > most)
        .order_by(sums.c.at.desc(), sums.c.name.desc())
        .limit(1)
    )
    row = tx.conn.execute(query).one_or_none()
    return None if row is None else (row[0], row[1])


def _tightest(places: Sequence[Place | None], recent_us: int) -> Place | None:
    found = [place for place in places if place is not None]
    return min(max(found), (recent_us, "")) if found else None


def _between(place: Any, after: Place, until: Place) -> Any:
    return and_(place > tuple_(*after), place <= tuple_(*until))


def _doomed(tenant: str, rule: RetentionRule, until: Place, after: Place) -> Any:
    return and_(
        _job.c.tenant == tenant,
        _job.c.finished_us.is_not(None),
        # Twice: a job is never deleted because of a wrong time alone.
        _job.c.state.in_(_ENDED),
        _job.c.state.in_(_states(rule)),
        _between(_JOB_PLACE, after, until),
    )


def drop_jobs(
    tx: Tx, tenant: str, rule: RetentionRule, until: Place, after: Place, limit: int
) -> Step:
    """Delete ended jobs with their events, at most about `limit` rows."""
    oldest = (
        select(_job.c.id, _job.c.finished_us)
        .where(_doomed(tenant, rule, until, after))
        .order_by(_job.c.finished_us, _job.c.id)
        .limit(_JOBS_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    jobs = events = protected = 0
    left = limit
    found = tx.conn.execute(oldest).all()
    for job_id, finished_us in found:
        if graph.waiting_child(tx, job_id) is not None:
            protected += 1
            after = (finished_us, job_id)
            continue
        cut = _delete_events(tx, job_id, left)
        events += cut
        left -= cut
        if left <= 0:  # the job's turn comes again
            return Step(after=after, jobs=jobs, events=events, protected=protected)
        tx.conn.execute(delete(_job).where(_job.c.id == job_id))
        jobs += 1
        left -= 10  # rows of other tables, by cascade
        after = (finished_us, job_id)
        if left <= 0:
            break
    return Step(
        after=after, done=not found, jobs=jobs, events=events, protected=protected
    )


def _delete_events(tx: Tx, job_id: str, limit: int, *, keep_states: bool = False) -> int:
    query = select(_event.c.seq).where(_event.c.job_id == job_id)
    if keep_states:
        query = query.where(_event.c.type != EventType.STATE.value)
    seqs = tx.conn.execute(query.order_by(_event.c.seq).limit(limit)).scalars().all()
    if not seqs:
        return 0
    some = delete(_event).where(
        _event.c.job_id == job_id, _event.c.seq >= seqs[0], _event.c.seq <= seqs[-1]
    )
    if keep_states:
        some = some.where(_event.c.type != EventType.STATE.value)
    return tx.conn.execute(some).rowcount


def cut_events(tx: Tx, tenant: str, until: Place, after: Place, limit: int) -> Step:
    """Delete events of ended jobs, except changes of state, at most about `limit`."""
    oldest = (
        select(_job.c.id, _job.c.finished_us, _job.c.last_seq)
        .where(_uncut(tenant, until, after))
        .order_by(_job.c.finished_us, _job.c.id)
        .limit(_JOBS_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    events, left = 0, limit
    found = tx.conn.execute(oldest).all()
    for job_id, finished_us, last_seq in found:
        cut = _delete_events(tx, job_id, left, keep_states=True)
        events += cut
        left -= cut
        if left <= 0:
            return Step(after=after, events=events)
        marked = update(_job).where(_job.c.id == job_id).values(events_cut=last_seq)
        tx.conn.execute(marked)
        left -= 1
        after = (finished_us, job_id)
    return Step(after=after, done=not found, events=events)


def _uncut(tenant: str, until: Place, after: Place) -> Any:
    return and_(
        _job.c.tenant == tenant,
        _job.c.finished_us.is_not(None),
        _job.c.events_cut == 0,
        _job.c.state.in_(_ENDED),
        _between(_JOB_PLACE, after, until),
    )


def drop_files(tx: Tx, tenant: str, until: Place, after: Place, limit: int) -> Step:
    """Delete files that no live job and no model uses, with the references of ended jobs."""
    oldest = (
        select(_file.c.digest, _file.c.used_us, _file.c.size_bytes)
        .where(_file.c.tenant == tenant, _between(_FILE_PLACE, after, until))
        .order_by(_file.c.used_us, _file.c.digest)
        .limit(max(1, limit // 10))
        .with_for_update(skip_locked=True)
    )
    files = size = protected = 0
    orphans = []
    found = tx.conn.execute(oldest).all()
    for digest, used_us, size_bytes in found:
        after = (used_us, digest)
        if _user_of(tx, tenant, digest) is not None:
            protected += 1
            continue
        if _remove(tx, tenant, digest):
            orphans.append(digest)
        files += 1
        size += size_bytes
    return Step(
        after=after,
        done=not found,
        files=files,
        file_bytes=size,
        protected=protected,
        orphans=tuple(orphans),
    )


def drop_file(tx: Tx, digest: str, tenant: str) -> bool:
    """Delete a file; True if no tenant has it any more. Raises NotFound and Conflict."""
    mine = and_(_file.c.tenant == tenant, _file.c.digest == digest)
    # Locked before the look at its users: a submit that names the file locks it too.
    locked = select(_file.c.digest).where(mine).with_for_update()
    if tx.conn.execute(locked).one_or_none() is None:
        raise no_such_artifact(digest)
    user = _user_of(tx, tenant, digest)
    if user is not None:
        raise file_in_use(digest, user)
    return _remove(tx, tenant, digest)


def _user_of(tx: Tx, tenant: str, digest: str) -> str | None:
    """Return a live job or a model that uses a file."""
    by_job = (
        select(_job.c.id)
        .join(_ref, _ref.c.job_id == _job.c.id)
        .where(_ref.c.tenant == tenant, _ref.c.digest == digest)
        .where(or_(_job.c.state.not_in(_ENDED), _WAITED_FOR))
        .limit(1)
    )
    user = tx.conn.execute(by_job).scalar_one_or_none()
    for column in (rows.model.c.digest, rows.model.c.picture):
        if user is None:
            by_model = (
                select(rows.model.c.id)
                .where(rows.model.c.tenant == tenant, column == digest)
                .where(rows.model.c.state != ModelState.REJECTED.value)
                .limit(1)
            )
            user = tx.conn.execute(by_model).scalar_one_or_none()
    return user


def _remove(tx: Tx, tenant: str, digest: str) -> bool:
    references = delete(_ref).where(_ref.c.tenant == tenant, _ref.c.digest == digest)
    tx.conn.execute(references)
    row = delete(_file).where(_file.c.tenant == tenant, _file.c.digest == digest)
    tx.conn.execute(row)
    left = select(_file.c.tenant).where(_file.c.digest == digest).limit(1)
    return tx.conn.execute(left).one_or_none() is None


def list_files(tx: Tx, tenant: str, limit: int, before: Place | None) -> list[StoredFile]:
    """List a tenant's files, newest first."""
    query = (
        select(_file, _IN_USE.label("in_use"))
        .where(_file.c.tenant == tenant)
        .order_by(_file.c.used_us.desc(), _file.c.digest.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(tuple_(*before) > _FILE_PLACE)
    return [
        StoredFile(
            record=rows.artifact_record(row),
            used_us=row.used_us,
            in_use=bool(row.in_use),
        )
        for row in tx.conn.execute(query)
    ]


def preview(tx: Tx, tenant: str, rules: Sequence[RetentionRule]) -> RetentionReport:
    """Return what these rules would remove now; reads alone."""
    start: Place = (-(2**62), "")
    limits = [(rule, cutoffs(tx, tenant, rule)) for rule in rules]
    doomed = [_doomed(tenant, rule, cut.jobs, start) for rule, cut in limits if cut.jobs]
    uncut = [_uncut(tenant, cut.events, start) for _, cut in limits if cut.events]
    old = [_between(_FILE_PLACE, start, cut.files) for _, cut in limits if cut.files]
    conn = tx.conn

    def number(query: Any) -> int:
        return int(conn.execute(query).scalar_one() or 0)

    jobs = events = protected = files = size = kept_files = 0
    if doomed:
        going = and_(or_(*doomed), ~_WAITED_FOR)
        jobs = number(select(func.count()).select_from(_job).where(going))
        protected = number(
            select(func.count()).select_from(_job).where(or_(*doomed), _WAITED_FOR)
        )
        of_job = select(func.count()).select_from(
            _event.join(_job, _event.c.job_id == _job.c.id)
        )
        events = number(of_job.where(going))
    if uncut:
        staying = [~and_(or_(*doomed), ~_WAITED_FOR)] if doomed else []
        of_job = select(func.count()).select_from(
            _event.join(_job, _event.c.job_id == _job.c.id)
        )
        events += number(
            of_job.where(or_(*uncut), _event.c.type != EventType.STATE.value, *staying)
        )
    if old:
        mine = and_(_file.c.tenant == tenant, or_(*old))
        counted = select(func.count(), func.sum(_file.c.size_bytes))
        row = conn.execute(counted.where(mine, ~_IN_USE)).one()
        files, size = int(row[0]), int(row[1] or 0)
        kept_files = number(select(func.count()).where(mine, _IN_USE))
    return RetentionReport(
        tenant=tenant,
        dry_run=True,
        complete=True,
        jobs=jobs,
        events=events,
        files=files,
        file_bytes=size,
        protected_jobs=protected,
        protected_files=kept_files,
    )

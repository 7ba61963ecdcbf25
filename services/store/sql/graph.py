"""Edges between jobs in a database, and what ends and re-drives of jobs do along them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from services.store import codec, graphs
from services.store.changes import JobChange
from services.store.refusals import no_such_job
from services.store.sql import rows, write
from services.store.sql.tx import Tx
from services.store.types import Edge, JobRecord, NewJob, PendingInput, Relatives
from trimtab.results import JobState

_IDS: Any = bindparam("job_ids", expanding=True)
_FULL = rows.full_job().where(rows.job.c.id.in_(_IDS)).order_by(rows.job.c.id)
_LOCKED = _FULL.with_for_update(of=rows.job)
# Against the end of a parent between this look and the insert of its child.
_SHARED = _FULL.with_for_update(of=rows.job, read=True)
_STATES = select(rows.job.c.id, rows.job.c.state).where(rows.job.c.id.in_(_IDS))
_FROM = select(rows.edge).where(rows.edge.c.parent.in_(_IDS))
_TO = select(rows.edge).where(rows.edge.c.child.in_(_IDS))
_INPUTS_TO = select(rows.pending_input).where(
    rows.pending_input.c.job_id.in_(_IDS), rows.pending_input.c.digest.is_(None)
)
_RESOLVE = (
    update(rows.pending_input)
    .where(
        rows.pending_input.c.job_id == bindparam("of_job"),
        rows.pending_input.c.path == bindparam("of_path"),
    )
    .values(digest=bindparam("found"))
)
_PARENTS = (
    select(rows.job.c.id, rows.edge.c.needs_success, rows.job.c.state)
    .join(rows.edge, rows.edge.c.parent == rows.job.c.id)
    .where(rows.edge.c.child == bindparam("job_id"))
    .order_by(rows.job.c.id)
)
_CHILDREN = (
    select(rows.job.c.id, rows.edge.c.needs_success, rows.job.c.state)
    .join(rows.edge, rows.edge.c.child == rows.job.c.id)
    .where(rows.edge.c.parent == bindparam("job_id"))
    .order_by(rows.job.c.id)
)
_CHUNK = 500  # ids in one IN list


@dataclass(frozen=True, kw_only=True)
class SqlLinks:
    """`graphs.Links` on a transaction."""

    tx: Tx
    now_us: int

    def edges_from(self, parents: Sequence[str]) -> list[Edge]:
        """Return the edges to children of these jobs."""
        return [rows.edge_record(row) for row in self._many(_FROM, parents)]

    def edges_to(self, children: Sequence[str]) -> list[Edge]:
        """Return the edges from parents of these jobs."""
        return [rows.edge_record(row) for row in self._many(_TO, children)]

    def inputs_to(self, children: Sequence[str]) -> list[PendingInput]:
        """Return the files that these jobs read and whose digests are not known yet."""
        return [rows.input_record(row) for row in self._many(_INPUTS_TO, children)]

    def read(self, job_ids: Sequence[str]) -> list[JobRecord]:
        """Return jobs with their results."""
        return [rows.job_record(row) for row in self._many(_FULL, job_ids)]

    def lock(self, job_ids: Sequence[str]) -> list[JobRecord]:
        """Return the jobs with their specs, in order of ids, locked until the end."""
        return [rows.job_record(row) for row in self._many(_LOCKED, sorted(job_ids))]

    def share(self, job_ids: Sequence[str]) -> list[JobRecord]:
        """Return jobs that no other transaction can end until this one has."""
        return [rows.job_record(row) for row in self._many(_SHARED, sorted(job_ids))]

    def states(self, job_ids: Sequence[str]) -> Mapping[str, JobState]:
        """Return the present states of jobs."""
        return {row.id: JobState(row.state) for row in self._many(_STATES, job_ids)}

    def write(
        self, written: Sequence[JobChange], resolved: Sequence[PendingInput]
    ) -> None:
        """Write changes of jobs, and the digests of files that are known now."""
        for change in written:
            write.apply(self.tx, change, self.now_us)
        found = [
            {
                "of_job": file.child,
                "of_path": codec.dumps(list(file.path)),
                "found": file.digest,
            }
            for file in resolved
        ]
        if found:
            self.tx.conn.execute(_RESOLVE, found)

    def _many(self, query: Any, job_ids: Sequence[str]) -> Iterator[Any]:
        for start in range(0, len(job_ids), _CHUNK):
            chunk = list(job_ids[start : start + _CHUNK])
            yield from self.tx.conn.execute(query, {"job_ids": chunk})


def apply(tx: Tx, change: JobChange, now_us: int) -> None:
    """Write a change of an existing job; if the job ended by it, its children follow."""
    write.apply(tx, change, now_us)
    if change.job.state.is_terminal:
        graphs.settle(change.job, SqlLinks(tx=tx, now_us=now_us), now_us)


def redrive(tx: Tx, job: JobRecord, now_us: int) -> JobRecord:
    """Queue an unsuccessful job again, with the jobs that it had skipped."""
    return graphs.redrive(job, SqlLinks(tx=tx, now_us=now_us), now_us).job


def place(
    tx: Tx, jobs: Sequence[NewJob], job_ids: Sequence[str], now_us: int
) -> list[graphs.Placed]:
    """Return new jobs as they are stored. Raises NotFound or Conflict."""
    links = SqlLinks(tx=tx, now_us=now_us)
    named = {parent for job in jobs for parent in job.parents}
    stored = {
        job.id: job
        for job in links.share([job_id for job_id in named if isinstance(job_id, str)])
    }
    placed: list[graphs.Placed] = []
    for job, job_id in zip(jobs, job_ids, strict=True):
        parents: dict[str | int, JobRecord] = {}
        for parent in job.parents:
            if isinstance(parent, int):
                parents[parent] = placed[parent].change.job
            elif parent in stored and stored[parent].tenant == job.tenant:
                parents[parent] = stored[parent]
            else:
                raise no_such_job(parent)
        placed.append(graphs.place(job, job_id, now_us, parents))
    return placed


def insert_links(tx: Tx, placed: Sequence[graphs.Placed]) -> None:
    """Insert edges and awaited files of new jobs."""
    edges = [
        {
            "parent": edge.parent,
            "child": edge.child,
            "needs_success": int(edge.needs_success),
        }
        for one in placed
        for edge in one.edges
    ]
    if edges:
        tx.conn.execute(insert(rows.edge), edges)
    awaited = [
        {
            "job_id": file.child,
            "path": codec.dumps(list(file.path)),
            "parent": file.parent,
            "output": file.output,
            "digest": file.digest,
        }
        for one in placed
        for file in one.inputs
    ]
    if awaited:
        tx.conn.execute(insert(rows.pending_input), awaited)


def waiting_child(tx: Tx, job_id: str) -> str | None:
    """Return a job that waits for this one and has not ended; None without one."""
    for child, (_, state) in relatives(tx, job_id).children.items():
        if not state.is_terminal:
            return child
    return None


def relatives(tx: Tx, job_id: str) -> Relatives:
    """Return parents and children of a job."""

    def related(query: Any) -> dict[str, tuple[bool, JobState]]:
        return {
            row.id: (bool(row.needs_success), JobState(row.state))
            for row in tx.conn.execute(query, {"job_id": job_id})
        }

    return Relatives(parents=related(_PARENTS), children=related(_CHILDREN))

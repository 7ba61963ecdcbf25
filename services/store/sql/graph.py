"""Edges between jobs in a database, and what ends and re-drives of jobs do along them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from services.store import codec, graphs
from services.store.changes import JobChange
from services.store.sql import rows, write
from services.store.sql.tx import Tx
from services.store.types import (
    Edge,
    JobRecord,
    MemoRecord,
    PendingInput,
    Relatives,
)
from trimtab.results import ENDED, JobState

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
_MEMBERS = (
    select(rows.job.c.id)
    .where(
        rows.job.c.graph == bindparam("plan"),
        rows.job.c.id != bindparam("plan"),
        rows.job.c.state.not_in([str(state) for state in sorted(ENDED)]),
    )
    .order_by(rows.job.c.id)
)
_MEMO = select(rows.memo).where(rows.memo.c.job_id == bindparam("job_id"))
_LOCK = (
    select(rows.job.c.id)
    .where(rows.job.c.id.in_(_IDS))
    .order_by(rows.job.c.id)
    .with_for_update()
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

    def members(self, plan_id: str) -> list[str]:
        """Return the jobs of a plan that have not ended, in order of ids."""
        return list(self.tx.conn.execute(_MEMBERS, {"plan": plan_id}).scalars())

    def memo(self, job_id: str) -> MemoRecord | None:
        """Return the memo of a job; None without one."""
        row = self.tx.conn.execute(_MEMO, {"job_id": job_id}).one_or_none()
        return None if row is None else rows.memo_record(row)

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
        graphs.settle([change.job], SqlLinks(tx=tx, now_us=now_us), now_us)


def redrive(tx: Tx, job: JobRecord, now_us: int) -> JobRecord:
    """Queue an unsuccessful job again, with the jobs that it had skipped."""
    return graphs.redrive(job, SqlLinks(tx=tx, now_us=now_us), now_us).job


def lock_family(tx: Tx, job_id: str, *, succeeds: bool = False) -> None:
    """Lock a job with those that its end, or a request to it, changes; in order of ids.

    A plan is older than the jobs that it waits for. Locking a job before its children could then
    deadlock against a cancel of the plan, so all are locked in one order, by one statement. SQLite
    has a single writer and needs none of this.
    """
    if tx.conn.dialect.name != "postgresql":
        return
    links = SqlLinks(tx=tx, now_us=0)
    family = {job_id, *links.members(job_id)}
    frontier = [job_id]
    while frontier:
        edges = links.edges_from(frontier)
        frontier = sorted(
            {
                edge.child
                for edge in edges
                if edge.needs_success and edge.child not in family and not succeeds
            }
        )
        family.update(edge.child for edge in edges)
    ordered = sorted(family)
    for start in range(0, len(ordered), _CHUNK):
        tx.conn.execute(_LOCK, {"job_ids": ordered[start : start + _CHUNK]})


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

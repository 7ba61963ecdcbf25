"""Submit with its audit entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.store import graphs
from services.store.sql import audit, graph, idempotency, jobs, rows
from services.store.sql.inserts import NewRows
from services.store.sql.tx import Tx
from services.store.types import Idempotency, JobRecord, NewJob, Submitted
from services.store.upkeep import Actor, Deed


def submit(
    tx: Tx,
    actor: Actor | None,
    new: Sequence[NewJob],
    key: Idempotency | None,
) -> list[Submitted]:
    """Insert jobs and one audit entry for all, or return those that the same key created before.

    A replay writes no entry.
    """
    now = tx.now_us()
    job_ids = [tx.new_id() for _ in new]
    if key is not None:
        earlier_ids = idempotency.reserve(tx, new[0].tenant, key, job_ids, now)
        if earlier_ids is not None:
            return jobs.replay(tx, earlier_ids, key.key)
    placed = graphs.place_all(new, job_ids, graph.SqlLinks(tx=tx, now_us=now), now)
    created = [one.change.job for one in placed]
    entries = [] if actor is None else [audit.entry(actor, _deed(created), now)]
    audit_rows = NewRows(table=rows.audit, rows=entries)
    jobs.insert_placed(tx, new, placed, now, audit_rows)
    return [Submitted(job=job, replayed=False) for job in created]


def _deed(created: Sequence[JobRecord]) -> Deed:
    first, last = created[0], created[-1]
    detail: dict[str, Any] = {"kind": first.kind}
    if len(created) > 1:
        kinds = sorted({job.kind for job in created})
        detail = {"jobs": len(created), "last": last.id, "kinds": kinds}
    return Deed(action="job.submit", target=first.id, detail=detail)

"""Submit with its audit entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.store.sql import audit, jobs
from services.store.sql.tx import Tx
from services.store.types import Idempotency, NewJob, Submitted
from services.store.upkeep import Actor, Deed


def submit(
    tx: Tx,
    actor: Actor | None,
    new: Sequence[NewJob],
    idempotency: Idempotency | None,
) -> list[Submitted]:
    """Insert jobs and one audit entry for all; a replay writes none."""
    submitted = jobs.submit(tx, new, idempotency)
    if actor is not None and submitted and not submitted[0].replayed:
        first, last = submitted[0].job, submitted[-1].job
        detail: dict[str, Any] = {"kind": first.kind}
        if len(submitted) > 1:
            kinds = sorted({one.job.kind for one in submitted})
            detail = {"jobs": len(submitted), "last": last.id, "kinds": kinds}
        deed = Deed(action="job.submit", target=first.id, detail=detail)
        audit.write(tx, actor, deed)
    return submitted

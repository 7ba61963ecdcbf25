"""Jobs that wait for jobs: what a submit says of them, and what a view shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.errors import InvalidBody
from services.gateway.deps import Context
from services.store.types import JobRecord
from trimtab.results import JobState
from trimtab.specs.common import JobRequest, Needs

MAX_EDGES = 100_000


def require_few_edges(requests: Sequence[JobRequest]) -> None:
    """Raise InvalidBody for a submit that names too many jobs."""
    edges = sum(len(request.after) for request in requests)
    if edges > MAX_EDGES:
        raise InvalidBody(
            f"jobs: expected at most {MAX_EDGES:,} entries of `after` in all, got {edges:,}",
            fix="let one job in between wait for the many, and the others for it",
        )


async def relatives_view(context: Context, job: JobRecord) -> dict[str, Any]:
    """Return what a job waits for and what waits for it, as JobView has it."""
    relatives = await context.store.relatives(job.id)
    return {
        "after": _listed(relatives.parents),
        "needed_by": _listed(relatives.children),
    }


def _listed(others: Mapping[str, tuple[bool, JobState]]) -> list[dict[str, str]]:
    return [
        {
            "job": job_id,
            "needs": (Needs.SUCCESS if needs_success else Needs.DONE).value,
            "state": state.value,
        }
        for job_id, (needs_success, state) in others.items()
    ]

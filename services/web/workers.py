"""The workers page: the pool of this process, and every job under a lease."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway import operations
from services.gateway.deps import Ctx, Viewer, visible_tenant
from services.store.types import JobFilter
from services.web.formatting import flat
from services.web.job_rows import lease_row
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.render import pages_of
from trimtab.results import JobState

MAX_LEASES = 200

router = APIRouter(route_class=PageRoute, include_in_schema=False)


def _facts(pool: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (label, value) of the pool and its executor; empty values are left out."""
    facts = {**pool, **pool.get("executor", {})}
    return [(key, flat(value)) for key, value in facts.items() if value not in ("", None)]


@router.get("/workers")
async def show_workers(request: Request, context: Ctx, principal: Viewer) -> Response:
    """Render the pool and the leases."""
    where = JobFilter(tenant=visible_tenant(principal), states=(JobState.RUNNING,))
    running = await context.store.list_jobs(where, limit=MAX_LEASES)
    now_us = await context.store.now_us()
    pool = (
        operations.describe_pool(context) if context.pool.dispatcher is not None else {}
    )
    return pages_of(request).response(
        "workers.html",
        pool=_facts(pool),
        leases=[lease_row(record, now_us) for record in running],
        **signed_in(principal, active="/workers"),
    )

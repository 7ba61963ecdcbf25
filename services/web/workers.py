"""The workers page: the pool of this process, and every job under a lease."""

from __future__ import annotations

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


@router.get("/workers")
async def show_workers(request: Request, context: Ctx, principal: Viewer) -> Response:
    """Render the pool and the leases."""
    where = JobFilter(tenant=visible_tenant(principal), states=(JobState.RUNNING,))
    running = await context.store.list_jobs(where, limit=MAX_LEASES)
    now_us = await context.store.now_us()
    pool = operations.describe_pool(context) if context.pool.dispatcher is not None else {}
    return pages_of(request).response(
        "workers.html",
        pool=[(key, flat(value)) for key, value in pool.items()],
        leases=[lease_row(record, now_us) for record in running],
        **signed_in(principal, active="/workers"),
    )

"""The page of one job, and its actions."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway import job_log, operations
from services.gateway.deps import Ctx, Submitter, Viewer, visible_tenant
from services.web import plans
from services.web.goal_form import KIND
from services.web.job_page import job_page, related_jobs
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.render import pages_of, see_other

# Events that the page shows as table and log. The curve replays the whole event stream.
NEWEST_EVENTS = 600
# End of the engines' log on the page; a link leads to more.
LOG_BYTES = 16_384

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/jobs/{job_id}")
async def show_job(
    request: Request, job_id: str, context: Ctx, principal: Viewer
) -> Response:
    """Show one job: state, curve, verification, files, attempts, log."""
    store = context.store
    record = await store.get(job_id, tenant=visible_tenant(principal))
    if record.kind == KIND:
        return await plans.plan_page(request, context, principal, record)
    events = await store.events(
        job_id,
        after_seq=max(0, record.last_seq - NEWEST_EVENTS),
        limit=NEWEST_EVENTS + 100,
    )
    job = job_page(
        record,
        events=events,
        attempts=await store.attempts(job_id),
        now_us=await store.now_us(),
    )
    job.engine_log = await job_log.tail(store, job_id, max_bytes=LOG_BYTES)
    job.webhook = await operations.webhook(context, record)
    job.relatives = related_jobs(await store.relatives(job_id))
    kind = context.kinds.get(record.kind)
    job.unit = kind.spec.unit_of(record.spec) if kind is not None else ""
    return pages_of(request).response("job.html", job=job, **signed_in(principal))


@router.post("/jobs/{job_id}/stop")
async def stop_job(job_id: str, context: Ctx, principal: Submitter) -> Response:
    """Stop a job and keep its best solution."""
    await operations.act(context, principal, job_id, "stop")
    return see_other(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(job_id: str, context: Ctx, principal: Submitter) -> Response:
    """Cancel a job and discard its result."""
    await operations.act(context, principal, job_id, "cancel")
    return see_other(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/retry")
async def retry_job(job_id: str, context: Ctx, principal: Submitter) -> Response:
    """Queue a failed, cancelled or dead job again."""
    await operations.act(context, principal, job_id, "retry")
    return see_other(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/delete")
async def delete_job(job_id: str, context: Ctx, principal: Submitter) -> Response:
    """Delete an ended job with its history and result."""
    await operations.delete(context, principal, job_id)
    return see_other("/")

"""The job list, the page of one job, its verbs, and who works on what."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from services.errors import BadRequest
from services.gateway.deps import Context, Principal
from services.store.types import JobFilter
from services.web import actions, formatting, views
from services.web.page_context import reader
from services.web.page_route import PageRoute
from services.web.render import Pages, see_other
from trimtab.results import JobState

PAGE_JOBS = 50
NEWEST_EVENTS = 600  # of a job's history, shown as table and log; the curve replays all of it by the event stream

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/")
async def list_jobs(
    request: Request,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.viewer)],
    state: Annotated[str, Query(max_length=20)] = "",
    kind: Annotated[str, Query(max_length=80)] = "",
    label: Annotated[str, Query(max_length=300)] = "",
    cursor: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """Jobs, newest first, by state, kind and label."""
    if state and state not in JobState.__members__:
        raise BadRequest(
            f"state={state!r} came", fix="Take one of " + ", ".join(JobState) + "."
        )
    key, equals, value = label.partition("=")
    fault = (
        f"{label!r} came; wanted key=value"
        if label and not (equals and key.strip())
        else ""
    )
    tenant = actions.visible_tenant(principal)
    where = JobFilter(
        tenant=tenant,
        states=(JobState(state),) if state else (),
        kinds=(kind,) if kind else (),
        labels={key.strip(): value.strip()} if label and not fault else {},
    )
    records = await context.store.list_jobs(
        where, limit=PAGE_JOBS + 1, before_id=cursor or None
    )
    counts = await context.store.counts(tenant)
    now_us = await context.store.now_us()
    asked = {"state": state, "kind": kind, "label": label}

    def link(**changes: str) -> str:
        query = {name: text for name, text in (asked | changes).items() if text}
        return "/?" + urlencode(query) if query else "/"

    tabs = [
        SimpleNamespace(
            text="All",
            href=link(state=""),
            current=not state,
            count=sum(counts.values()),
            css="all",
        ),
        *(
            SimpleNamespace(
                text=formatting.STATE_WORDS[one],
                href=link(state=one.value),
                current=state == one.value,
                count=counts.get(one, 0),
                css=one.value.lower(),
            )
            for one in JobState
        ),
    ]
    view = SimpleNamespace(
        **asked,
        kinds=sorted(context.kinds),
        label_fault=fault,
        filtered=bool(state or kind or label),
        tabs=tabs,
        rows=[views.job_row(record, now_us) for record in records[:PAGE_JOBS]],
        here=link(cursor=cursor),
        newest=link() if cursor else "",
        older=link(cursor=records[PAGE_JOBS - 1].id) if len(records) > PAGE_JOBS else "",
    )
    return _pages(request).response("jobs.html", view=view, **reader(principal, active="/"))


@router.get("/jobs/{job_id}")
async def show_job(
    request: Request,
    job_id: str,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.viewer)],
) -> Response:
    """One job: state, curve, verification, files, attempts, log."""
    store = context.store
    record = await store.get(job_id, tenant=actions.visible_tenant(principal))
    events = await store.events(
        job_id, after_seq=max(0, record.last_seq - NEWEST_EVENTS), limit=NEWEST_EVENTS + 100
    )
    job = views.job_page(
        record,
        events=events,
        attempts=await store.attempts(job_id),
        now_us=await store.now_us(),
    )
    job.webhook = await actions.webhook(context, record)
    kind = context.kinds.get(record.kind)
    job.unit = kind.spec.unit_of(record.spec) if kind is not None else ""
    return _pages(request).response("job.html", job=job, **reader(principal))


@router.post("/jobs/{job_id}/stop")
async def stop_job(
    job_id: str,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.submitter)],
) -> Response:
    """End now, keep the best."""
    await actions.act(context, principal, job_id, "stop")
    return see_other(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(
    job_id: str,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.submitter)],
) -> Response:
    """End now, discard."""
    await actions.act(context, principal, job_id, "cancel")
    return see_other(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/retry")
async def retry_job(
    job_id: str,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.submitter)],
) -> Response:
    """Queue a job that failed, was cancelled or is dead once more."""
    await actions.act(context, principal, job_id, "retry")
    return see_other(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/delete")
async def delete_job(
    job_id: str,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.submitter)],
) -> Response:
    """Remove an ended job with all it left."""
    await actions.delete(context, principal, job_id)
    return see_other("/")


@router.get("/workers")
async def show_workers(
    request: Request,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.viewer)],
) -> Response:
    """The pool of this process, and every job under a lease."""
    where = JobFilter(tenant=actions.visible_tenant(principal), states=(JobState.RUNNING,))
    running = await context.store.list_jobs(where, limit=200)
    now_us = await context.store.now_us()
    pool = [
        (key, views.flat(value)) for key, value in actions.describe_pool(context).items()
    ]
    leases = [views.lease_row(record, now_us) for record in running]
    return _pages(request).response(
        "workers.html", pool=pool, leases=leases, **reader(principal, active="/workers")
    )


def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.web_pages
    return pages

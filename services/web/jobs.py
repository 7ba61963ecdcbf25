"""The list of jobs, the page of one job, and its actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.errors import BadRequest
from services.gateway import operations
from services.gateway.deps import Ctx, Submitter, Viewer, visible_tenant
from services.store.types import JobFilter
from services.web import plans
from services.web.formatting import STATE_WORDS
from services.web.goal_form import KIND
from services.web.job_page import job_page, related_jobs
from services.web.job_rows import job_row
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.render import pages_of, see_other
from trimtab.results import JobState

PAGE_JOBS = 50
# Events that the page shows as table and log. The curve replays the whole event stream.
NEWEST_EVENTS = 600

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/")
async def list_jobs(
    request: Request,
    context: Ctx,
    principal: Viewer,
    state: Annotated[str, Query(max_length=20)] = "",
    kind: Annotated[str, Query(max_length=80)] = "",
    label: Annotated[str, Query(max_length=300)] = "",
    cursor: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """List jobs, newest first, filtered by state, kind and label."""
    if state and state not in JobState.__members__:
        raise BadRequest(f"state: expected one of {', '.join(JobState)}, got {state!r}")
    labels, label_fault = _parse_label(label)
    tenant = visible_tenant(principal)
    where = JobFilter(
        tenant=tenant,
        states=(JobState(state),) if state else (),
        kinds=(kind,) if kind else (),
        labels=labels,
    )
    records = await context.store.list_jobs(
        where, limit=PAGE_JOBS + 1, before_id=cursor or None
    )
    counts = await context.store.counts(tenant)
    now_us = await context.store.now_us()
    filters = {"state": state, "kind": kind, "label": label}

    def link(**changes: str) -> str:
        query = {name: text for name, text in (filters | changes).items() if text}
        return "/?" + urlencode(query) if query else "/"

    view = SimpleNamespace(
        **filters,
        kinds=sorted(context.kinds),
        label_fault=label_fault,
        filtered=bool(state or kind or label),
        tabs=_tabs(counts, state, link),
        rows=[job_row(record, now_us) for record in records[:PAGE_JOBS]],
        here=link(cursor=cursor),
        newest=link() if cursor else "",
        older=link(cursor=records[PAGE_JOBS - 1].id) if len(records) > PAGE_JOBS else "",
    )
    return pages_of(request).response(
        "jobs.html", view=view, **signed_in(principal, active="/")
    )


def _parse_label(text: str) -> tuple[dict[str, str], str]:
    """Return (labels to filter by, what is wrong with the text)."""
    key, equals, value = text.partition("=")
    if not text:
        return {}, ""
    if not equals or not key.strip():
        return {}, f"Expected key=value, got {text!r}."
    return {key.strip(): value.strip()}, ""


def _tabs(
    counts: Mapping[JobState, int], current: str, link: Callable[..., str]
) -> list[SimpleNamespace]:
    """Return one tab for all jobs and one per state, with counts."""
    tabs = [("", "All", sum(counts.values()), "all")]
    tabs += [
        (state.value, STATE_WORDS[state], counts.get(state, 0), state.value.lower())
        for state in STATE_WORDS
    ]
    return [
        SimpleNamespace(
            text=text,
            href=link(state=state),
            current=state == current,
            count=count,
            css=css,
        )
        for state, text, count, css in tabs
    ]


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

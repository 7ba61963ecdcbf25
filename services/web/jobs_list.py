"""The list of jobs: search, filters, orders, saved views, and names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from services.gateway import operations
from services.gateway.deps import Ctx, Submitter, Viewer, visible_tenant
from services.gateway.filters import require_kinds
from services.gateway.listing import Listing, cursor_of, position_of
from services.gateway.problems import from_validation
from services.store.types import JobFilter, SavedView
from services.web.formatting import STATE_WORDS
from services.web.job_rows import job_row
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.render import pages_of, see_other
from trimtab.results import JobSort, JobState
from trimtab.specs.common import JobChanges

PAGE_JOBS = 50
Link = Callable[..., str]

# Column → (heading, order of a first click, class)
_COLUMNS: Sequence[tuple[str, str, str]] = (
    (JobSort.NAME, "Job", ""),
    (JobSort.OBJECTIVE, "Best objective", "num"),
    ("", "Bound", "num wide"),
    (JobSort.GAP, "Gap", "num"),
    (JobSort.RUN_TIME, "Run time", "num wide"),
    (JobSort.CREATED, "Submitted", "wide"),
)
_DESCENDING_FIRST = frozenset({JobSort.CREATED, JobSort.RUN_TIME})
# Their tabs are there without jobs too.
_ALWAYS = (JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED)
SORT_WORDS: Mapping[str, str] = {
    "-created": "Newest first",
    "created": "Oldest first",
    "-finished": "Ended last first",
    "finished": "Ended first first",
    "-run_time": "Longest run first",
    "run_time": "Shortest run first",
    "objective": "Lowest objective first",
    "-objective": "Highest objective first",
    "gap": "Smallest gap first",
    "-gap": "Largest gap first",
    "name": "Name, A to Z",
    "-name": "Name, Z to A",
    "kind": "Kind",
    "-kind": "Kind, reversed",
    "state": "State",
    "-state": "State, reversed",
}

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/")
async def list_jobs(
    request: Request,
    context: Ctx,
    principal: Viewer,
    cursor: Annotated[str, Query(max_length=2_000)] = "",
) -> Response:
    """List jobs: searched, filtered and ordered by the query."""
    chosen, label_fault = _chosen(request)
    require_kinds(chosen.all("kind"), context.kinds)
    tenant = visible_tenant(principal)
    order = chosen.order()
    where = chosen.filter(tenant)
    records = await context.store.list_jobs(
        where,
        limit=PAGE_JOBS + 1,
        order=order,
        after=position_of(cursor, order) if cursor else None,
    )
    counts = await context.store.counts(tenant)
    now_us = await context.store.now_us()

    def link(**changes: str) -> str:
        query = chosen.query(**changes)
        return "/?" + query if query else "/"

    more = len(records) > PAGE_JOBS
    view = SimpleNamespace(
        **{
            field: chosen.one(field) for field in ("q", "state", "kind", "label", "model")
        },
        after=chosen.one("created_after"),
        before=chosen.one("created_before"),
        sort=chosen.one("sort") or "-created",
        sorts=SORT_WORDS,
        kinds=sorted(context.kinds),
        label_fault=label_fault,
        filtered=where != JobFilter(tenant=tenant) or bool(label_fault),
        more_filters=any(
            chosen.one(field) for field in ("model", "created_after", "created_before")
        ),
        query=chosen.query(),
        saved=_saved(await context.store.list_views(principal.tenant), chosen.query()),
        tabs=_tabs(counts, chosen.one("state"), link),
        columns=_columns(chosen.one("sort") or "-created", link),
        rows=[
            job_row(record, now_us, unit=_unit(context, record.kind))
            for record in records[:PAGE_JOBS]
        ],
        here=link(cursor=cursor),
        first=link() if cursor else "",
        next=link(cursor=cursor_of(records[PAGE_JOBS - 1], order)) if more else "",
    )
    return pages_of(request).response(
        "jobs.html", view=view, **signed_in(principal, active="/")
    )


def _chosen(request: Request) -> tuple[Listing, str]:
    """Return (filters of the query, what is wrong with its label)."""
    pairs = [
        (key, text) for key, text in request.query_params.multi_items() if key != "cursor"
    ]
    fault = ""
    labels = [text for key, text in pairs if key == "label" and text]
    if any(not text.partition("=")[1] and ":" not in text for text in labels):
        fault = f"Expected key=value, got {labels[0]!r}."
        pairs = [pair for pair in pairs if pair[0] != "label"]
    return Listing.of_pairs(pairs), fault


def _unit(context: Ctx, kind: str) -> str:
    """Return the unit of a kind's objectives; rows have no spec that could say more."""
    found = context.kinds.get(kind)
    return "" if found is None else found.spec.UNIT


def _saved(views: Sequence[SavedView], query: str) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(
            name=view.name,
            href="/?" + view.query if view.query else "/",
            current=view.query == query,
        )
        for view in views
    ]


def _columns(sort: str, link: Link) -> list[SimpleNamespace]:
    """Return the headings; a link on one orders by it, or reverses the order."""
    columns = []
    for key, text, css in _COLUMNS:
        current = sort.removeprefix("-") == key
        first = f"-{key}" if key in _DESCENDING_FIRST else str(key)
        other = sort.removeprefix("-") if sort.startswith("-") else f"-{sort}"
        columns.append(
            SimpleNamespace(
                text=text,
                css=css,
                href=link(sort=other if current else first) if key else "",
                direction=("descending" if sort.startswith("-") else "ascending")
                if current
                else "",
            )
        )
    return columns


def _tabs(
    counts: Mapping[JobState, int], current: str, link: Link
) -> list[SimpleNamespace]:
    """Return one tab for all jobs and one per state that has some, with counts."""
    tabs = [("", "All", sum(counts.values()), "all")]
    tabs += [
        (state.value, STATE_WORDS[state], counts.get(state, 0), state.value.lower())
        for state in STATE_WORDS
        if counts.get(state) or state in _ALWAYS or state == current
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


@router.post("/views")
async def save_view(
    context: Ctx,
    principal: Submitter,
    name: Annotated[str, Form(max_length=400)],
    query: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """Save the filters and order of the list under a name."""
    view = await operations.save_view(context, principal, name=name, query=query)
    return see_other("/?" + view.query if view.query else "/")


@router.post("/views/delete")
async def delete_view(
    context: Ctx, principal: Submitter, name: Annotated[str, Form(max_length=400)]
) -> Response:
    """Delete a saved view."""
    await context.store.delete_view(principal.tenant, name)
    return see_other("/")


@router.post("/jobs/{job_id}/rename")
async def rename_job(
    job_id: str,
    context: Ctx,
    principal: Submitter,
    name: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """Change the name of a job."""
    try:
        changes = JobChanges.model_validate({"name": name})
    except ValidationError as error:
        raise from_validation(error) from error
    await operations.rename(context, principal, job_id, changes)
    return see_other(f"/jobs/{job_id}")

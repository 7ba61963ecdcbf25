"""The page of a plan: read its outline, edit, answer, approve, read its report."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from services.errors import (
    BadRequest,
    Conflict,
    InvalidBody,
    NotFound,
    ServiceError,
)
from services.gateway import operations, outlines
from services.gateway.deps import (
    Context,
    Ctx,
    Principal,
    Submitter,
    Viewer,
    visible_tenant,
)
from services.plans.jobs import leaf_jobs
from services.store.types import JobRecord
from services.web import formatting
from services.web.goal_form import KIND, before, endpoint
from services.web.job_page import job_page, related_jobs
from services.web.leaf_form import (
    Draft,
    enabled_patch,
    fields_of_kind,
    json_patch,
    posted_patch,
)
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.plan_view import plan_view, value_label
from services.web.posted import MAX_FIELDS
from services.web.render import REPORT_HEADERS, pages_of, see_other
from trimtab.outlines import open_questions, values_of
from trimtab.plans import OutlineView, PatchOperation

NEWEST_EVENTS = 600

router = APIRouter(route_class=PageRoute, include_in_schema=False)


async def plan_page(
    request: Request,
    context: Context,
    principal: Principal,
    record: JobRecord,
    *,
    draft: Draft = Draft(),  # noqa: B008 - frozen
    conflict: SimpleNamespace | None = None,
    status: int = 200,
) -> Response:
    """Render the page of a plan."""
    store = context.store
    try:
        seen = await _read(context, principal, record.id)
    except (NotFound, Conflict):  # it is not made yet, or could not be
        seen = None
    events = await store.events(
        record.id,
        after_seq=max(0, record.last_seq - NEWEST_EVENTS),
        limit=NEWEST_EVENTS + 100,
    )
    now_us = await store.now_us()
    job = job_page(
        record, events=events, attempts=await store.attempts(record.id), now_us=now_us
    )
    job.webhook = await operations.webhook(context, record)
    # The jobs of the outline are shown in it.
    job.relatives = (
        [] if seen and seen.jobs else related_jobs(await store.relatives(record.id))
    )
    plan = plan_view(
        record,
        seen,
        await leaf_jobs(store, record.id),
        context.kinds,
        draft=draft,
        now_us=now_us,
    )
    return pages_of(request).response(
        "plan.html",
        status=status,
        job=job,
        plan=plan,
        conflict=conflict,
        sent_to=endpoint(context),
        before=before(context, str(record.spec.get("text_model", "auto"))),
        **signed_in(principal),
    )


async def _read(context: Context, principal: Principal, job_id: str) -> OutlineView:
    """Return an outline. Raises NotFound, and Conflict for a plan without one."""
    shown = await outlines.view(context, principal, job_id)
    return OutlineView.model_validate_json(orjson.dumps(shown))


@router.post("/jobs/{job_id}/outline/leaves/{leaf}")
async def edit_leaf(
    request: Request, job_id: str, leaf: str, context: Ctx, principal: Submitter
) -> Response:
    """Change, drop or keep a job of the outline; a refused change is shown beside it."""
    record = await context.store.get(job_id, tenant=visible_tenant(principal))
    posted = await _posted(request, max_fields=MAX_FIELDS)
    seen = await _read(context, principal, job_id)
    if leaf not in seen.outline.leaves:
        raise NotFound(
            f"leaf: expected one of {', '.join(seen.outline.leaves)}, got {leaf[:40]!r}",
            fix=f"open /jobs/{job_id}",
        )
    typed = {name[2:]: text for name, text in posted.items() if name.startswith("v:")}
    if posted.get("action") == "json":
        typed = {"request": posted.get("request", "")}
    try:
        patch = _patch_of(context, seen, leaf, posted, typed)
        if patch:
            steps = [PatchOperation(**step) for step in patch]
            await outlines.edit(
                context, principal, job_id, revision=_revision(posted), patch=steps
            )
    except Conflict as error:
        return await _refused(request, context, principal, record, error)
    except (InvalidBody, ValueError) as error:
        draft = Draft(leaf=leaf, values=typed, faults=_sentences(error))
        return await plan_page(
            request, context, principal, record, draft=draft, status=422
        )
    return see_other(f"/jobs/{job_id}#leaf-{leaf.replace('.', '-')}")


def _patch_of(
    context: Context,
    seen: OutlineView,
    name: str,
    posted: Mapping[str, str],
    typed: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return the patch that a posted form asks for. Raises ValueError."""
    leaf = seen.outline.leaves[name]
    request = leaf.model_dump(mode="json")
    match posted.get("action", "save"):
        case "drop" | "restore" as action:
            return enabled_patch(name, request, action == "restore")
        case "json":
            return json_patch(name, request, typed["request"])
    kind = context.kinds.get(leaf.kind)
    fields = fields_of_kind(None if kind is None else kind.spec)
    values = values_of(seen.outline, leaf)
    patch, faults = posted_patch(name, request, values, fields, typed)
    if faults:
        texts = (f"{value_label(fault.path)}: {fault.text}" for fault in faults)
        raise ValueError("\n".join(texts))
    return patch


def _sentences(error: InvalidBody | ValueError) -> list[str]:
    if isinstance(error, ServiceError):
        return [formatting.sentence(error.detail, error.fix)]
    return str(error).split("\n")


async def _posted(request: Request, *, max_fields: int) -> dict[str, str]:
    """Return the fields of a form without files, with the line ends that were typed."""
    async with request.form(max_files=0, max_fields=max_fields) as form:
        return {name: str(value).replace("\r\n", "\n") for name, value in form.items()}


def _revision(posted: Mapping[str, str]) -> int:
    text = posted.get("revision", "")
    if not text.isdecimal() or len(text) > 9:
        raise BadRequest(f"revision: expected a number, got {text[:40]!r}")
    return int(text)


@router.post("/jobs/{job_id}/outline/answers")
async def answer_questions(
    request: Request, job_id: str, context: Ctx, principal: Submitter
) -> Response:
    """Answer the questions; the outline is made again."""
    record = await context.store.get(job_id, tenant=visible_tenant(principal))
    posted = await _posted(request, max_fields=100)
    seen = await _read(context, principal, job_id)
    answers = {
        name: posted.get(f"text:{name}", "").strip() or posted.get(f"choice:{name}", "")
        for name in open_questions(seen.outline)
    }
    if missing := [name for name, text in answers.items() if not text]:
        question = seen.outline.questions[missing[0]].text
        conflict = SimpleNamespace(title="Not answered yet", text=question)
        return await plan_page(
            request, context, principal, record, conflict=conflict, status=422
        )
    try:
        await outlines.answer(
            context, principal, job_id, revision=_revision(posted), answers=answers
        )
    except (Conflict, InvalidBody) as error:
        return await _refused(request, context, principal, record, error)
    return see_other(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/outline/approve")
async def approve_outline(
    request: Request, job_id: str, context: Ctx, principal: Submitter
) -> Response:
    """Start the jobs of the outline that the page showed."""
    record = await context.store.get(job_id, tenant=visible_tenant(principal))
    posted = await _posted(request, max_fields=10)
    try:
        await outlines.approve(
            context,
            principal,
            job_id,
            revision=_revision(posted),
            digest=posted.get("digest", ""),
        )
    except (Conflict, InvalidBody) as error:
        return await _refused(request, context, principal, record, error)
    return see_other(f"/jobs/{job_id}")


async def _refused(
    request: Request,
    context: Context,
    principal: Principal,
    record: JobRecord,
    error: ServiceError,
) -> Response:
    """Show the newest state of a plan that has changed since its page was opened."""
    conflict = SimpleNamespace(
        title="Nothing was changed",
        text=formatting.sentence(
            error.detail, "below is the newest version: read it and try again"
        ),
    )
    record = await context.store.get(record.id, tenant=visible_tenant(principal))
    return await plan_page(
        request, context, principal, record, conflict=conflict, status=error.status
    )


@router.get("/jobs/{job_id}/report")
async def show_report(job_id: str, context: Ctx, principal: Viewer) -> Response:
    """Show the report of a plan: a page without scripts that loads nothing."""
    job = await operations.result(context, principal, job_id)
    reference = (job.result or {}).get("artifacts", {}).get("report.html")
    if job.kind != KIND or reference is None:
        raise NotFound(
            f"report: expected a plan with a report, got job {job_id} of kind {job.kind}",
            fix=f"open /jobs/{job_id}",
        )
    path = context.blobs.path(str(reference["digest"]))
    return FileResponse(
        path, media_type="text/html; charset=utf-8", headers=REPORT_HEADERS
    )

"""Pages for operators: usage, retention, webhook deliveries, audit log."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from services.errors import BadRequest
from services.gateway import operations
from services.gateway.deps import (
    Admin,
    Context,
    Ctx,
    Operator,
    Principal,
    visible_tenant,
)
from services.gateway.filters import require_action
from services.gateway.routes.jobs import JobId
from services.store.upkeep import ACTIONS, AuditFilter
from services.web import formatting
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.render import pages_of, see_other
from services.web.retention_form import (
    COUNTS,
    DAYS,
    STATES,
    answers_of_rule,
    faults_in,
    limits_in_words,
    rule_of,
)
from trimtab.errors import SpecError
from trimtab.results import JobState
from trimtab.upkeep import RetentionReport

PAGE = 100  # rows of a page
RUN_S = 10.0  # longest run of retention within a request
DELIVERY_STATES = ("waiting", "given up", "delivered")

router = APIRouter(prefix="/admin", route_class=PageRoute, include_in_schema=False)


def _page(
    request: Request,
    principal: Principal,
    name: str,
    *,
    status: int = 200,
    **values: Any,
) -> Response:
    """Render one page of the section, with links to those in the caller's scopes."""
    sections = [
        ("/admin/usage", "Usage"),
        ("/admin/retention", "Retention"),
        ("/admin/webhooks", "Webhooks"),
    ]
    if principal.allows("admin"):
        sections.append(("/admin/audit", "Audit log"))
    return pages_of(request).response(
        f"upkeep_{name}.html",
        status=status,
        sections=sections,
        section=f"/admin/{name}",
        **values,
        **signed_in(principal, active="/admin/usage"),
    )


@router.get("/usage")
async def show_usage(request: Request, context: Ctx, principal: Operator) -> Response:
    """Show what the tenant has stored and used; to an admin what every tenant has."""
    names = await operations.usage_tenants(context, principal)
    return _page(
        request,
        principal,
        "usage",
        tenants=[await _usage(context, name) for name in names],
    )


async def _usage(context: Context, tenant: str) -> SimpleNamespace:
    kinds, events, files, file_bytes = await context.store.usage(tenant)
    counts = await context.store.counts(tenant)
    busy_s = sum(work.busy_us for work in kinds.values()) / formatting.US
    return SimpleNamespace(
        tenant=tenant,
        jobs=formatting.number(sum(counts.values())),
        open_jobs=formatting.number(
            sum(n for state, n in counts.items() if not JobState(state).is_terminal)
        ),
        events=formatting.number(events),
        files=formatting.number(files),
        size=formatting.size(file_bytes),
        ended=formatting.number(sum(work.jobs for work in kinds.values())),
        busy=formatting.seconds(busy_s),
        kinds=", ".join(f"{kind} {work.jobs:,}" for kind, work in sorted(kinds.items())),
    )


@router.get("/retention")
async def show_retention(request: Request, context: Ctx, principal: Operator) -> Response:
    """Show the tenant's rule as a form, and the operator's."""
    rule = await context.store.retention_rule(principal.tenant)
    return _retention(request, context, principal, answers_of_rule(rule))


@router.post("/retention")
async def change_retention(
    request: Request, context: Ctx, principal: Operator
) -> Response:
    """Count what the rule would remove, store it, or apply the stored ones now."""
    async with request.form(max_files=0, max_fields=40) as form:
        action = str(form.get("action", ""))
        answers: dict[str, Any] = {
            name: str(form.get(name, "")).strip()[:40] for name in (*DAYS, *COUNTS)
        }
        answers["job_states"] = [str(state) for state in form.getlist("job_states")]
    try:
        rule = rule_of(answers)
    except (ValidationError, SpecError) as error:
        faults = faults_in(error)
        return _retention(request, context, principal, answers, faults=faults, status=422)
    report = None
    if action == "save":
        await context.store.put_retention_rule(principal.tenant, rule)
    elif action == "run":
        report = await operations.run_retention(context, principal.tenant, within_s=RUN_S)
        answers = answers_of_rule(await context.store.retention_rule(principal.tenant))
    else:
        report = await operations.preview_retention(context, principal.tenant, rule)
    return _retention(
        request, context, principal, answers, report=report, saved=action == "save"
    )


def _retention(
    request: Request,
    context: Context,
    principal: Principal,
    answers: dict[str, Any],
    *,
    report: RetentionReport | None = None,
    saved: bool = False,
    faults: list[str] | None = None,
    status: int = 200,
) -> Response:
    return _page(
        request,
        principal,
        "retention",
        status=status,
        tenant=principal.tenant,
        answers=answers,
        days=DAYS,
        counts=COUNTS,
        states=STATES,
        server=limits_in_words(context.settings.retention),
        report=report,
        saved=saved,
        faults=faults or [],
    )


@router.get("/webhooks")
async def list_deliveries(
    request: Request,
    context: Ctx,
    principal: Operator,
    state: Annotated[str, Query(max_length=20)] = "",
    before: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """Show webhook deliveries, those of the newest jobs first."""
    if state and state not in DELIVERY_STATES:
        raise BadRequest(
            f"state: expected one of {', '.join(DELIVERY_STATES)}, got {state!r}"
        )
    found = await context.store.list_deliveries(
        tenant=visible_tenant(principal),
        states=(state,) if state else (),
        limit=PAGE + 1,
        before_job=before or None,
    )
    now_us = await context.store.now_us()
    rows = [
        SimpleNamespace(
            job=one.record.job_id,
            url=one.url,
            state=one.record.state,
            tries=one.record.tries,
            answer=one.record.status_code or "–",
            detail=one.record.detail,
            at_us=one.record.at_us,
            at=formatting.since(now_us, one.record.at_us),
        )
        for one in found[:PAGE]
    ]
    return _page(
        request,
        principal,
        "webhooks",
        rows=rows,
        states=DELIVERY_STATES,
        state=state,
        older=rows[-1].job if len(found) > PAGE else "",
    )


@router.post("/webhooks/{job_id}/resend")
async def resend(job_id: JobId, context: Ctx, principal: Operator) -> Response:
    """Send the webhook of a job again."""
    await context.store.resend(job_id, tenant=visible_tenant(principal))
    return see_other("/admin/webhooks")


@router.get("/audit")
async def list_audit(
    request: Request,
    context: Ctx,
    principal: Admin,
    tenant: Annotated[str, Query(max_length=63)] = "",
    action: Annotated[str, Query(max_length=40)] = "",
    target: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Response:
    """Show who did what, when and from where, newest first."""
    require_action(action.strip())
    where = AuditFilter(
        tenant=tenant.strip() or None,
        action=action.strip() or None,
        target=target.strip() or None,
    )
    found = await context.store.list_audit(where, limit=PAGE + 1, before_id=before)
    rows = [
        SimpleNamespace(
            at_us=one.at_us,
            at=formatting.utc(one.at_us),
            who=f"{one.tenant} {one.key_id}".strip()
            or ("unknown" if one.address else "the server"),
            action=one.action,
            target=one.target,
            origin=" ".join(part for part in (one.address, one.agent) if part) or "–",
            detail=_pairs(one.detail),
        )
        for one in found[:PAGE]
    ]
    return _page(
        request,
        principal,
        "audit",
        rows=rows,
        asked=SimpleNamespace(tenant=tenant, action=action, target=target),
        actions=sorted(ACTIONS),
        older=found[PAGE - 1].id if len(found) > PAGE else None,
    )


def _pairs(detail: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the values of an entry by their dotted names."""
    pairs: dict[str, str] = {}
    for key, value in detail.items():
        if isinstance(value, Mapping):
            pairs |= _pairs(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            pairs[prefix + key] = ", ".join(str(one) for one in value)
        else:
            pairs[prefix + key] = formatting.flat(value, str)
    return pairs

"""Housekeeping: `/v1/retention`, `/v1/usage`, `/v1/deliveries`, `/v1/audit`, lists of files."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import Response

from services.dispatcher.gc import remove_bytes
from services.errors import BadRequest, Forbidden
from services.gateway import operations
from services.gateway.bodies import body_of
from services.gateway.deps import (
    Admin,
    Context,
    Ctx,
    Operator,
    Principal,
    Submitter,
    Viewer,
    visible_tenant,
)
from services.gateway.filters import require_action, require_tenant
from services.gateway.problems import documented
from services.gateway.routes.artifacts import Digest
from services.gateway.routes.jobs import JOB_ID, JobId
from services.gateway.views import FastJson, when
from services.store.types import DeliveryRecord
from services.store.upkeep import AuditFilter, DeliveryAttemptRecord, Place
from trimtab.upkeep import (
    ArtifactPage,
    AuditPage,
    DeliveryPage,
    DeliveryState,
    DeliveryView,
    RetentionReport,
    RetentionRule,
    RetentionView,
    UsageView,
)

router = APIRouter(prefix="/v1", tags=["upkeep"])

RUN_S = 20.0  # longest run of retention within a request
TENANT = r"^[a-z0-9][a-z0-9\-]{0,62}$"
OfTenant = Annotated[
    str | None,
    Query(pattern=TENANT, description="another tenant (admins); default: the caller's"),
]
Limit = Annotated[int, Query(ge=1, le=500, description="entries on a page")]
Cursor = Annotated[
    str | None,
    Query(max_length=300, description="`next_cursor` of the previous page"),
]


def _tenant(principal: Principal, tenant: str | None) -> str:
    """Return the tenant that a request is about. Raises Forbidden for another's."""
    if tenant is None or tenant == principal.tenant:
        return principal.tenant
    if not principal.allows("admin"):
        raise Forbidden(
            f"tenant: expected {principal.tenant!r}, the tenant of this key, got {tenant!r}",
            fix="use a key of that tenant, or an admin key",
        )
    return tenant


@router.get(
    "/retention",
    response_model=RetentionView,
    responses=documented(422, 503),
    summary="Get the retention rules of a tenant",
)
async def get_retention(ctx: Ctx, principal: Viewer, tenant: OfTenant = None) -> Response:
    """The tenant's own rule and the operator's. Each is applied, so the tighter one counts."""
    name = _tenant(principal, tenant)
    return FastJson(await _view(ctx, name))


async def _view(ctx: Context, tenant: str) -> dict[str, Any]:
    view = RetentionView(
        tenant=tenant,
        rule=await ctx.store.retention_rule(tenant),
        server=ctx.settings.retention,
    )
    return view.model_dump(mode="json")


@router.put(
    "/retention",
    response_model=RetentionView,
    responses=documented(400, 413, 415, 422, 503),
    openapi_extra={"requestBody": "RetentionRule"},
    summary="Replace the retention rule of a tenant",
)
async def set_retention(
    request: Request, ctx: Ctx, principal: Operator, tenant: OfTenant = None
) -> Response:
    """It is applied every few minutes. Look at POST /v1/retention/preview first.

    A rule about jobs that have not ended is refused.
    """
    name = _tenant(principal, tenant)
    await ctx.store.put_retention_rule(name, await body_of(request, RetentionRule))
    return FastJson(await _view(ctx, name))


@router.post(
    "/retention/preview",
    response_model=RetentionReport,
    responses=documented(400, 413, 415, 422, 503),
    openapi_extra={"requestBody": "RetentionRule"},
    summary="Count what a retention rule would remove",
)
async def preview_retention(
    request: Request, ctx: Ctx, principal: Viewer, tenant: OfTenant = None
) -> Response:
    """A dry run of this rule beside the operator's; it removes nothing and stores nothing."""
    name = _tenant(principal, tenant)
    rule = await body_of(request, RetentionRule)
    report = await operations.preview_retention(ctx, name, rule)
    return FastJson(report.model_dump(mode="json"))


@router.post(
    "/retention/run",
    response_model=RetentionReport,
    responses=documented(409, 422, 503),
    summary="Apply the retention rules of a tenant now",
)
async def run_retention(
    ctx: Ctx, principal: Operator, tenant: OfTenant = None
) -> Response:
    """Works for at most 20 s, in small transactions. Repeat it until `complete` is true."""
    name = _tenant(principal, tenant)
    report = await operations.run_retention(ctx, name, within_s=RUN_S)
    return FastJson(report.model_dump(mode="json"))


@router.get(
    "/usage",
    response_model=list[UsageView],
    responses=documented(404, 422, 503),
    summary="Get what tenants have stored and used",
)
async def get_usage(ctx: Ctx, principal: Viewer, tenant: OfTenant = None) -> Response:
    """Jobs, events, files, bytes and seconds of the caller's tenant; for an admin of every one."""
    if tenant is None:
        names = await operations.usage_tenants(ctx, principal)
    else:
        names = [_tenant(principal, tenant)]
        require_tenant(tenant, await operations.usage_tenants(ctx, principal))
    return FastJson([await _usage(ctx, name) for name in names])


async def _usage(ctx: Context, tenant: str) -> dict[str, Any]:
    kinds, events, files, file_bytes = await ctx.store.usage(tenant)
    counts = await ctx.store.counts(tenant)
    return {
        "tenant": tenant,
        "jobs": {state.value: count for state, count in counts.items() if count},
        "events": events,
        "files": files,
        "file_bytes": file_bytes,
        "kinds": {
            kind: {
                "jobs": work.jobs,
                "attempts": work.attempts,
                "busy_s": work.busy_us / 1e6,
            }
            for kind, work in sorted(kinds.items())
        },
    }


@router.get(
    "/artifacts",
    response_model=ArtifactPage,
    responses=documented(400, 422, 503),
    tags=["artifacts"],
    summary="List files, newest first",
)
async def list_artifacts(
    ctx: Ctx, principal: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Files of the caller's tenant, uploaded or produced by jobs."""
    before = None if cursor is None else _place(cursor)
    files = await ctx.store.list_files(principal.tenant, limit=limit + 1, before=before)
    items = [
        {
            "digest": file.record.digest,
            "name": file.record.name,
            "size_bytes": file.record.size_bytes,
            "media_type": file.record.media_type,
            "created_at": when(file.record.created_us),
            "used_at": when(file.used_us),
            "in_use": file.in_use,
        }
        for file in files[:limit]
    ]
    last = files[limit - 1] if len(files) > limit else None
    place = None if last is None else f"{last.used_us}:{last.record.digest}"
    return FastJson({"items": items, "next_cursor": _cursor(place)})


def _cursor(place: str | None) -> str | None:
    return None if place is None else base64.urlsafe_b64encode(place.encode()).decode()


def _place(cursor: str) -> Place:
    try:
        text = base64.urlsafe_b64decode(cursor.encode("ascii")).decode("ascii")
        time_us, _, digest = text.partition(":")
        return max(-(2**62), min(int(time_us), 2**62)), digest.replace("\x00", "")
    except (ValueError, UnicodeError):
        raise BadRequest(
            f"cursor: expected the next_cursor of an earlier page, got {cursor!r}",
            fix="pass `next_cursor` unchanged",
        ) from None


@router.delete(
    "/artifacts/{digest}",
    status_code=204,
    responses=documented(404, 409, 503),
    tags=["artifacts"],
    summary="Delete a file",
)
async def delete_artifact(digest: Digest, ctx: Ctx, principal: Submitter) -> Response:
    """Refused while a job that has not ended, or a fitted model, uses it.

    Results of ended jobs keep its name and digest, without the bytes.
    """
    if await ctx.store.drop_file(digest, tenant=principal.tenant):
        await remove_bytes(ctx.store, ctx.blobs, digest)
    return Response(status_code=204)


def delivery_view(
    record: DeliveryRecord, url: str, attempts: list[DeliveryAttemptRecord]
) -> dict[str, Any]:
    """Return a delivery as a DeliveryView in JSON."""
    return {
        "job_id": record.job_id,
        "url": url,
        "state": record.state,
        "tries": record.tries,
        "detail": record.detail,
        "at": when(record.at_us),
        "status_code": record.status_code,
        "next_try_at": when(record.next_try_us),
        "attempts": [
            {
                "number": one.number,
                "at": when(one.at_us),
                "status_code": one.status_code,
                "detail": one.detail,
            }
            for one in attempts
        ],
    }


@router.get(
    "/deliveries",
    response_model=DeliveryPage,
    responses=documented(400, 422, 503),
    tags=["webhooks"],
    summary="List webhook deliveries",
)
async def list_deliveries(
    ctx: Ctx,
    principal: Viewer,
    state: Annotated[
        list[DeliveryState] | None,
        Query(description="repeat for several states"),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """State, tries, the receiver's answer and the next try, of ended jobs with a webhook."""
    if cursor is not None and not JOB_ID.match(cursor):
        raise BadRequest(
            f"cursor: expected the next_cursor of an earlier page, got {cursor!r}",
            fix="pass `next_cursor` unchanged",
        )
    found = await ctx.store.list_deliveries(
        tenant=visible_tenant(principal),
        states=tuple(map(str, state or ())),
        limit=limit + 1,
        before_job=cursor,
    )
    items = [delivery_view(one.record, one.url, []) for one in found[:limit]]
    more = items[-1]["job_id"] if len(found) > limit else None
    return FastJson({"items": items, "next_cursor": more})


@router.post(
    "/jobs/{job_id}/webhook/resend",
    status_code=202,
    response_model=DeliveryView,
    responses=documented(404, 409, 503),
    tags=["webhooks"],
    summary="Send the webhook of a job again",
)
async def resend_webhook(job_id: JobId, ctx: Ctx, principal: Submitter) -> Response:
    """Sends the same payload, with twelve new tries. A waiting delivery is tried now."""
    tenant = visible_tenant(principal)
    await ctx.store.resend(job_id, tenant=tenant)
    job = await ctx.store.get(job_id, tenant=tenant)
    record = await ctx.store.delivery(job_id)
    assert record is not None
    attempts = await ctx.store.delivery_attempts(job_id)
    view = delivery_view(record, str((job.webhook or {}).get("url", "")), attempts)
    return FastJson(view, status_code=202)


class AuditQuery(BaseModel):
    """Filter and page of the audit log."""

    tenant: Annotated[str | None, Field(max_length=63)] = None
    key_id: Annotated[str | None, Field(max_length=20)] = None
    action: Annotated[
        str | None,
        Field(max_length=40, description="an act, or its part before the dot: `job`"),
    ] = None
    target: Annotated[str | None, Field(max_length=200)] = None
    after: Annotated[AwareDatetime | None, Field(description="earliest time")] = None
    before: Annotated[AwareDatetime | None, Field(description="end, excluded")] = None
    limit: Annotated[int, Field(ge=1, le=500, description="entries on a page")] = 50
    cursor: Annotated[
        int | None, Field(ge=1, le=2**62, description="of the previous page")
    ] = None

    def filter(self) -> AuditFilter:
        """Return the filter for the store."""
        return AuditFilter(
            tenant=self.tenant,
            key_id=self.key_id,
            action=self.action,
            target=self.target,
            after_us=None if self.after is None else round(self.after.timestamp() * 1e6),
            before_us=(
                None if self.before is None else round(self.before.timestamp() * 1e6)
            ),
        )


@router.get(
    "/audit",
    response_model=AuditPage,
    responses=documented(400, 422, 503),
    tags=["audit"],
    summary="Read the audit log",
)
async def list_audit(
    ctx: Ctx, principal: Admin, query: Annotated[AuditQuery, Query()]
) -> Response:
    """Who did what, when and from where, newest first. Entries cannot be changed."""
    require_action(query.action)
    where = query.filter()
    found = await ctx.store.list_audit(
        where, limit=query.limit + 1, before_id=query.cursor
    )
    items = [
        {
            "id": one.id,
            "at": when(one.at_us),
            "tenant": one.tenant,
            "key_id": one.key_id,
            "action": one.action,
            "target": one.target,
            "address": one.address,
            "agent": one.agent,
            "detail": dict(one.detail),
        }
        for one in found[: query.limit]
    ]
    more = str(found[query.limit - 1].id) if len(found) > query.limit else None
    return FastJson({"items": items, "next_cursor": more})

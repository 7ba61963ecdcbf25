"""API keys, for admins: list, make, revoke."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from services.errors import ServiceError
from services.gateway.auth import SCOPES
from services.gateway.deps import Context, Principal
from services.store.types import ApiKeyRecord
from services.web import actions, formatting
from services.web.page_context import reader
from services.web.page_route import PageRoute
from services.web.render import Pages, see_other

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/keys")
async def list_keys(
    request: Request,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.admin)],
) -> Response:
    """All keys, and the form for one more."""
    return await _page(request, context, principal)


@router.post("/keys")
async def make_key(
    request: Request,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.admin)],
) -> Response:
    """Make a key. No redirect here: the secret is in this one answer and nowhere else."""
    async with request.form(max_files=0, max_fields=20) as form:
        name, tenant, days = (
            str(form.get(field, "")).strip() for field in ("name", "tenant", "days")
        )
        scopes = [str(scope) for scope in form.getlist("scopes")]
    asked = SimpleNamespace(name=name, tenant=tenant, days=days, scopes=scopes)
    fault = _fault(asked)
    if not fault:
        try:
            secret = await actions.make_key(
                context,
                name=name,
                tenant=tenant,
                scopes=scopes,
                expires_in_s=int(days) * 86_400 if days else None,
            )
        except ServiceError as error:
            fault = error.detail
        else:
            made = SimpleNamespace(name=name, secret=secret)
            return await _page(request, context, principal, made=made, status=201)
    return await _page(request, context, principal, asked=asked, fault=fault, status=422)


@router.post("/keys/{key_id}/revoke")
async def revoke_key(
    key_id: str,
    context: Annotated[Context, Depends(actions.context)],
    principal: Annotated[Principal, Depends(actions.admin)],
) -> Response:
    """End a key. Its sessions end with it."""
    await actions.revoke_key(context, key_id)
    return see_other("/keys")


def _fault(asked: SimpleNamespace) -> str:
    if not asked.name or not asked.tenant:
        return "Name and tenant are wanted; one of them is empty."
    if asked.days and not (
        asked.days.isdecimal() and 1 <= int(asked.days[:6]) <= 3650 and len(asked.days) <= 4
    ):
        return f"{asked.days[:40]!r} came as the days until it expires; wanted a whole number from 1 to 3650, or nothing."
    unknown = [scope for scope in asked.scopes if scope not in SCOPES]
    if unknown or not asked.scopes:
        return f"{', '.join(unknown) or 'No scope'} came; wanted at least one of {', '.join(SCOPES)}."
    return ""


async def _page(
    request: Request,
    context: Context,
    principal: Principal,
    *,
    made: SimpleNamespace | None = None,
    asked: SimpleNamespace | None = None,
    fault: str = "",
    status: int = 200,
) -> Response:
    now_us = await context.store.now_us()
    keys = [_row(key, now_us) for key in await context.store.list_keys()]
    blank = SimpleNamespace(
        name="", tenant=principal.tenant, days="", scopes=["viewer", "submitter"]
    )
    pages: Pages = request.app.state.web_pages
    values: dict[str, Any] = {
        "keys": keys,
        "made": made,
        "asked": asked or blank,
        "fault": fault,
        "scopes": SCOPES,
    }
    return pages.response(
        "keys.html", status=status, **values, **reader(principal, active="/keys")
    )


def _row(key: ApiKeyRecord, now_us: int) -> SimpleNamespace:
    expired = key.expires_us is not None and key.expires_us <= now_us
    return SimpleNamespace(
        id=key.id,
        name=key.name or "–",
        tenant=key.tenant,
        scopes=", ".join(key.scopes),
        created_us=key.created_us,
        created=formatting.since(now_us, key.created_us),
        expires="never" if key.expires_us is None else formatting.utc(key.expires_us),
        live=not key.revoked and not expired,
        state="revoked" if key.revoked else "expired",
    )

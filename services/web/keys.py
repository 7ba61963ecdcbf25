"""The page of API keys, for admins: list, make, rotate, revoke."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.errors import ServiceError
from services.gateway import operations
from services.gateway.auth import SCOPES
from services.gateway.deps import Admin, Context, Ctx, Principal
from services.store.types import ApiKeyRecord
from services.web import formatting
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.render import pages_of, see_other

DAY_US = 86_400 * 1_000_000
MAX_DAYS = 3650
MAX_HOURS = 90 * 24  # of overlap of a rotated key's two secrets

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/keys")
async def list_keys(request: Request, context: Ctx, principal: Admin) -> Response:
    """Show all keys and the form for a new one."""
    return await _page(request, context, principal)


@router.post("/keys")
async def make_key(request: Request, context: Ctx, principal: Admin) -> Response:
    """Make a key. No redirect: this response alone shows the secret."""
    async with request.form(max_files=0, max_fields=20) as form:
        name, tenant, days = (
            str(form.get(field, "")).strip() for field in ("name", "tenant", "days")
        )
        scopes = [str(scope) for scope in form.getlist("scopes")]
    answers = SimpleNamespace(name=name, tenant=tenant, days=days, scopes=scopes)
    fault = _fault(answers)
    if not fault:
        now_us = await context.store.now_us()
        try:
            _, secret = await operations.make_key(
                context,
                name=name,
                tenant=tenant,
                scopes=scopes,
                expires_us=now_us + int(days) * DAY_US if days else None,
            )
        except ServiceError as error:
            fault = formatting.sentence(error.detail, error.fix)
        else:
            made = SimpleNamespace(name=name, secret=secret, overlap=None)
            return await _page(request, context, principal, made=made, status=201)
    return await _page(
        request, context, principal, answers=answers, fault=fault, status=422
    )


@router.post("/keys/{key_id}/rotate")
async def rotate_key(
    request: Request, key_id: str, context: Ctx, principal: Admin
) -> Response:
    """Replace the secret of a key. No redirect: this response alone shows the new one."""
    async with request.form(max_files=0, max_fields=5) as form:
        hours = str(form.get("hours", "")).strip() or "24"
    if not (hours.isascii() and hours.isdecimal() and int(hours[:6]) <= MAX_HOURS):
        fault = (
            f"Hours of overlap: expected a whole number from 0 to {MAX_HOURS}, "
            f"got {hours[:40]!r}."
        )
        return await _page(request, context, principal, fault=fault, status=422)
    record, secret = await operations.rotate_key(
        context, key_id, overlap_s=3600.0 * int(hours)
    )
    made = SimpleNamespace(name=record.name, secret=secret, overlap=int(hours))
    return await _page(request, context, principal, made=made, status=201)


@router.post("/keys/{key_id}/revoke")
async def revoke_key(key_id: str, context: Ctx, principal: Admin) -> Response:
    """Revoke a key and, with it, its sessions."""
    await operations.revoke_key(context, key_id)
    return see_other("/keys")


def _fault(answers: SimpleNamespace) -> str:
    """Return what is wrong with the form, or an empty string."""
    for field in ("name", "tenant"):
        if not getattr(answers, field):
            return f"{field.capitalize()}: expected text, got nothing."
    days = answers.days
    if days and not (
        days.isdecimal() and 1 <= int(days[:6]) <= MAX_DAYS and len(days) <= 4
    ):
        return (
            f"Days until expiry: expected a whole number from 1 to {MAX_DAYS}, "
            f"got {days[:40]!r}. Leave it empty for a key that does not expire."
        )
    unknown = [scope for scope in answers.scopes if scope not in SCOPES]
    if unknown or not answers.scopes:
        got = ", ".join(unknown) or "nothing"
        return f"Scopes: expected at least one of {', '.join(SCOPES)}, got {got}."
    return ""


async def _page(
    request: Request,
    context: Context,
    principal: Principal,
    *,
    made: SimpleNamespace | None = None,
    answers: SimpleNamespace | None = None,
    fault: str = "",
    status: int = 200,
) -> Response:
    now_us = await context.store.now_us()
    keys = [_row(key, now_us) for key in await context.store.list_keys()]
    blank = SimpleNamespace(
        name="", tenant=principal.tenant, days="", scopes=["viewer", "submitter"]
    )
    values: dict[str, Any] = {
        "keys": keys,
        "made": made,
        "answers": answers or blank,
        "fault": fault,
        "scopes": SCOPES,
    }
    return pages_of(request).response(
        "keys.html", status=status, **values, **signed_in(principal, active="/keys")
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
        used_us=key.last_used_us,
        used=formatting.since(now_us, key.last_used_us),
        old_until=formatting.utc(key.old_until_us)
        if key.old_until_us is not None and key.old_until_us > now_us
        else "",
        live=not key.revoked and not expired,
        state="revoked" if key.revoked else "expired",
    )

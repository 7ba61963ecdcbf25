"""Sign in with a one-time ticket (`trimtab open`) or a pasted API key; sign out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.errors import Unauthorized
from services.gateway.auth import COOKIE
from services.gateway.deps import Ctx
from services.web import sign_in_log
from services.web.formatting import sentence
from services.web.page_context import signed_out
from services.web.page_route import PageRoute
from services.web.render import local_path, pages_of, see_other
from services.web.sessions import begin_session, end_session

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/login")
async def show_login(
    request: Request,
    context: Ctx,
    ticket: Annotated[str, Query(max_length=500)] = "",
    next_path: Annotated[str, Query(alias="next", max_length=500)] = "/",
) -> Response:
    """Redeem a ticket, or show the form for a key."""
    target = local_path(next_path)
    if not ticket:
        return _form(request, target)
    response = see_other(target)
    try:
        principal = await context.keyring.spend(ticket)
    except Unauthorized as error:
        await sign_in_log.refused(request, context, error, by="link")
        return _form(request, target, error=error)
    begin_session(request, context, response, principal)
    await sign_in_log.began(request, context, principal, by="link")
    return response


@router.post("/login")
async def login(request: Request, context: Ctx) -> Response:
    """Check a pasted key and begin a session."""
    async with request.form(max_files=0, max_fields=10, max_part_size=10_000) as form:
        key = str(form.get("key", "")).strip()
        target = local_path(str(form.get("next", "/")))
    response = see_other(target)
    try:
        principal = await context.keyring.by_key(key)
    except Unauthorized as error:
        await sign_in_log.refused(request, context, error, by="key", key=key)
        return _form(request, target, error=error)
    begin_session(request, context, response, principal)
    await sign_in_log.began(request, context, principal, by="key")
    return response


@router.post("/logout")
async def logout(request: Request, context: Ctx) -> Response:
    """End the session, in the store and in this browser."""
    response = see_other("/login")
    await sign_in_log.ended(request, context, request.cookies.get(COOKIE))
    await end_session(request, context, response)
    return response


def _form(
    request: Request, target: str, *, error: Unauthorized | None = None
) -> Response:
    fault = "" if error is None else sentence(error.detail, error.fix)
    values: dict[str, Any] = {"next": target, "fault": fault}
    status = 200 if error is None else error.status
    return pages_of(request).response(
        "login.html", status=status, **values, **signed_out()
    )

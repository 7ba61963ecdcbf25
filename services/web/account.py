"""Signing in by a one-time ticket (what `trimtab open` prints) or by pasting a key; signing out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from services.errors import ServiceError, Unauthorized
from services.gateway.deps import Context
from services.web import actions
from services.web.page_context import nobody
from services.web.page_route import PageRoute
from services.web.render import Pages, local_path, see_other

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/login")
async def show_login(
    request: Request,
    context: Annotated[Context, Depends(actions.context)],
    ticket: Annotated[str, Query(max_length=500)] = "",
    next_path: Annotated[str, Query(alias="next", max_length=500)] = "/",
) -> Response:
    """Spend a ticket, or ask for a key."""
    target = local_path(next_path)
    if not ticket:
        return _form(request, target)
    response = see_other(target)
    try:
        actions.begin_session(
            request, context, response, await context.keyring.spend(ticket)
        )
    except Unauthorized as error:
        return _form(request, target, fault=_sentence(error), status=401)
    return response


@router.post("/login")
async def login(
    request: Request, context: Annotated[Context, Depends(actions.context)]
) -> Response:
    """Check a pasted key and begin a session."""
    async with request.form(max_files=0, max_fields=10, max_part_size=10_000) as form:
        key, target = (
            str(form.get("key", "")).strip(),
            local_path(str(form.get("next", "/"))),
        )
    response = see_other(target)
    try:
        actions.begin_session(request, context, response, await context.keyring.by_key(key))
    except Unauthorized as error:
        return _form(request, target, fault=_sentence(error), status=401)
    return response


@router.post("/logout")
async def logout(
    request: Request, context: Annotated[Context, Depends(actions.context)]
) -> Response:
    """End the session, in the store and in this browser."""
    await actions.sign_out(request, context)
    response = see_other("/login")
    actions.end_session(response)
    return response


def _sentence(error: ServiceError) -> str:
    return f"{error.detail[:1].upper()}{error.detail[1:].rstrip('.')}." + (
        f" {error.fix}" if error.fix else ""
    )


def _form(request: Request, target: str, *, fault: str = "", status: int = 200) -> Response:
    pages: Pages = request.app.state.web_pages
    values: dict[str, Any] = {"next": target, "fault": fault}
    return pages.response("login.html", status=status, **values, **nobody())

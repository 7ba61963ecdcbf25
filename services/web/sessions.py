"""Session cookies of the pages."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from services.gateway.auth import COOKIE, SESSION_S
from services.gateway.deps import Context, Principal


def begin_session(
    request: Request, context: Context, response: Response, principal: Principal
) -> None:
    """Set the session cookie of an authenticated principal."""
    response.set_cookie(
        COOKIE,
        context.keyring.session(principal),
        max_age=SESSION_S,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


async def end_session(request: Request, context: Context, response: Response) -> None:
    """End the session in the store, for every copy of its cookie, and delete the cookie."""
    if (cookie := request.cookies.get(COOKIE)) is not None:
        await context.keyring.sign_out(cookie)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")

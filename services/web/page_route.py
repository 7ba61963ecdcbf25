"""Errors as pages: a route class that answers a ServiceError with HTML, and a refused session with the login page."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import Response

from services.errors import BadRequest, NotFound, ServiceError, Unauthorized
from services.gateway.deps import refuse_cross_site
from services.web.page_context import nobody
from services.web.render import PAGE_HEADERS, Pages, see_other

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """An APIRoute whose errors, also those of its dependencies, become pages."""

    def get_route_handler(self) -> Handler:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()

        async def page(request: Request) -> Response:
            try:
                # Also for the forms that need no session, and when keys are off: no other site may post here.
                refuse_cross_site(request)
                return await handle(request)
            except Unauthorized as error:
                return _sign_in(request, error)
            except ServiceError as error:
                return problem_page(request, error)
            except RequestValidationError as error:
                places = ", ".join(
                    ".".join(str(part) for part in entry["loc"]) for entry in error.errors()
                )
                if "path" in places:
                    return problem_page(request, NotFound(f"no page at {request.url.path}"))
                return problem_page(
                    request, BadRequest(f"{places} does not have the form this page takes")
                )

        return page


def problem_page(request: Request, error: ServiceError) -> Response:
    """The error as a page, with the request id that the logs carry."""
    pages: Pages = request.app.state.web_pages
    request_id = getattr(request.state, "request_id", None)
    problem = {
        "status": error.status,
        "title": error.title,
        "detail": error.detail,
        "fix": error.fix,
        "errors": [
            {"path": "", "came": "", "wanted": "", "message": "", **entry}
            for entry in error.errors
        ],
        "request_id": request_id,
    }
    response = pages.response(
        "error.html", status=error.status, problem=problem, **nobody()
    )
    if error.retry_after_s is not None:
        response.headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    return response


def _sign_in(request: Request, error: Unauthorized) -> Response:
    # A live refresh (htmx) must not swap a login page into its place: it gets the bare status and the page stays.
    if request.headers.get("hx-request"):
        return Response(status_code=error.status, headers=dict(PAGE_HEADERS))
    if request.method not in ("GET", "HEAD"):
        return see_other("/login")
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return see_other("/login" if here == "/" else f"/login?next={quote(here, safe='')}")

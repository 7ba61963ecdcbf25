"""Route class of the pages: errors become pages, a missing session leads to the login page."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import Response

from services.errors import BadRequest, NotFound, ServiceError, Unauthorized, field_error
from services.gateway.deps import refuse_cross_site
from services.web.page_context import signed_out
from services.web.render import PAGE_HEADERS, pages_of, see_other

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """An APIRoute that answers errors, also those of its dependencies, with pages."""

    def get_route_handler(self) -> Handler:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()

        async def page(request: Request) -> Response:
            try:
                # Checked here too for forms without a session and for servers without keys.
                refuse_cross_site(request)
                return await handle(request)
            except Unauthorized as error:
                return _to_login(request, error)
            except ServiceError as error:
                return problem_page(request, error)
            except RequestValidationError as error:
                return problem_page(request, _invalid(request, error))

        return page


def problem_page(request: Request, error: ServiceError) -> Response:
    """Render an error as a page, with the request id that the logs carry."""
    problem = {
        "status": error.status,
        "title": error.title,
        "detail": error.detail,
        "fix": error.fix,
        "errors": [
            field_error("", got="", expected="") | entry for entry in error.errors
        ],
        "request_id": getattr(request.state, "request_id", None),
    }
    response = pages_of(request).response(
        "error.html", status=error.status, problem=problem, **signed_out()
    )
    if error.retry_after_s is not None:
        response.headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    return response


def _invalid(request: Request, error: RequestValidationError) -> ServiceError:
    fields = [".".join(str(part) for part in entry["loc"]) for entry in error.errors()]
    if any(field.startswith("path") for field in fields):
        return NotFound(f"no page at {request.url.path}")
    return BadRequest(f"{', '.join(fields)}: expected another value on this page")


def _to_login(request: Request, error: Unauthorized) -> Response:
    # A live refresh must not swap a login page into the content: it gets the bare status.
    if request.headers.get("hx-request"):
        return Response(status_code=error.status, headers=dict(PAGE_HEADERS))
    if request.method not in ("GET", "HEAD"):
        return see_other("/login")
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return see_other("/login" if here == "/" else f"/login?next={quote(here, safe='')}")

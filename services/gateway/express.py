"""Short way of the busiest operation: a submit without the framework's routing and dependencies.

These took more than half of the event loop's time for a submit. The rest is the same code: the
outermost middleware, authentication, the body's parser and the operation itself.
"""

from __future__ import annotations

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.deps import Context, require
from services.gateway.routes import jobs

_SUBMIT = next(
    route
    for route in jobs.router.routes
    if isinstance(route, APIRoute) and route.endpoint is jobs.submit_job
)
_PATH = "/v1/jobs"
_TRACED = (
    "fastapi.telemetry"  # in the scope of a request with a span, which names its route
)


class Express:
    """Middleware that answers `POST /v1/jobs` itself and passes on every other request.

    It passes on traced requests and those with a query too. Errors go to the outermost middleware.
    """

    def __init__(self, app: ASGIApp, *, context: Context) -> None:
        self._app = app
        self._context = context
        self._authorize = require("submitter")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if (
            scope["type"] != "http"
            or scope["path"] != _PATH
            or scope["method"] != "POST"
            or scope["query_string"]
            or _TRACED in scope
        ):
            await self._app(scope, receive, send)
            return
        scope["route"] = _SUBMIT  # for the metrics
        request = Request(scope, receive)
        response = await jobs.submit_job(
            request,
            self._context,
            await self._authorize(request),
            request.headers.get("idempotency-key"),
        )
        await response(scope, receive, send)

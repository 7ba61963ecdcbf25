"""First visit: an example of each kind, submitted with one click."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from search.kinds import Kind
from services.errors import NotFound
from services.gateway import operations
from services.gateway.deps import Ctx, Submitter
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.render import pages_of, see_other
from trimtab.specs.common import JobRequest, request_model

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/start")
async def start(request: Request, context: Ctx, principal: Submitter) -> Response:
    """Show an example of each kind that has one."""
    examples = [
        SimpleNamespace(
            kind=kind.name,
            summary=kind.spec.SUMMARY,
            title=kind.spec.EXAMPLE.get("name") or f"Example of {kind.name}",
            seconds=kind.spec.EXAMPLE.get("budget", {}).get("seconds"),
        )
        for kind in _with_example(context.kinds).values()
        if kind.spec.EXAMPLE is not None
    ]
    return pages_of(request).response(
        "start.html", examples=examples, **signed_in(principal, active="/submit")
    )


@router.post("/start")
async def submit_example(
    context: Ctx, principal: Submitter, kind: Annotated[str, Form(max_length=80)]
) -> Response:
    """Queue the example of a kind. Raises NotFound for a kind without one."""
    offered = _with_example(context.kinds)
    if kind not in offered:
        raise NotFound(
            f"kind: expected one of {', '.join(offered)}, got {kind!r}",
            fix="choose an example at /start",
        )
    parsed = example_request(offered[kind])
    (submitted,) = await operations.submit(
        context, principal, [parsed], idempotency_key=None
    )
    return see_other(f"/jobs/{submitted.job.id}")


def example_request(kind: Kind) -> JobRequest:
    """Return the example of a kind as a request."""
    model = request_model(kind.spec)
    return model.model_validate_json(json.dumps(dict(kind.spec.EXAMPLE or {})))


def _with_example(kinds: Mapping[str, Kind]) -> dict[str, Kind]:
    return {name: kind for name, kind in kinds.items() if kind.spec.EXAMPLE is not None}

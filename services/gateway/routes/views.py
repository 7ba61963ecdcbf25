"""`/v1/views`: named filters and orders of the job list."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import AfterValidator, Field
from starlette.responses import Response

from services.gateway import operations
from services.gateway.bodies import body_of
from services.gateway.deps import Ctx, Submitter, Viewer
from services.gateway.problems import documented
from services.gateway.views import FastJson, when
from services.store.types import SavedView
from trimtab.results import ListView
from trimtab.specs.common import WireModel

router = APIRouter(prefix="/v1/views", tags=["jobs"])


class NewView(WireModel):
    """Request to save a view."""

    query: Annotated[str, Field(max_length=2_000)]
    """Query string of the list: `state=FAILED&sort=-gap`, as in the page's address."""


ViewName = Annotated[
    str, Path(description="name of the view"), AfterValidator(operations.view_name)
]


def view_view(view: SavedView) -> dict[str, Any]:
    """Return a saved view in JSON."""
    return {
        "name": view.name,
        "query": view.query,
        "created_at": when(view.created_us),
        "links": {"page": f"/?{view.query}", "jobs": f"/v1/jobs?{view.query}"},
    }


@router.get(
    "",
    response_model=list[ListView],
    responses=documented(503),
    summary="List the saved views",
)
async def list_views(ctx: Ctx, principal: Viewer) -> Response:
    """Views of the caller's tenant, ordered by name."""
    views = await ctx.store.list_views(principal.tenant)
    return FastJson([view_view(view) for view in views])


@router.put(
    "/{name:path}",
    response_model=ListView,
    responses=documented(400, 409, 413, 415, 422, 503),
    openapi_extra={"requestBody": "NewView"},
    summary="Save a view",
)
async def save_view(
    name: ViewName, request: Request, ctx: Ctx, principal: Submitter
) -> Response:
    """Replaces a view of that name. Everyone in the tenant sees it."""
    new = await body_of(request, NewView)
    view = await operations.save_view(ctx, principal, name=name, query=new.query)
    return FastJson(view_view(view))


@router.delete(
    "/{name:path}",
    status_code=204,
    responses=documented(400, 404, 503),
    summary="Delete a saved view",
)
async def delete_view(name: ViewName, ctx: Ctx, principal: Submitter) -> Response:
    """Deletes the view, not its jobs."""
    await ctx.store.delete_view(principal.tenant, name)
    return Response(status_code=204)

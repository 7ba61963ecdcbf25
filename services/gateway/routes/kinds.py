"""/v1/kinds: what this server can do, with the JSON schema of each request."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from search.domains import Kind
from services.errors import NotFound
from services.gateway.deps import Context, Principal, context, require
from services.gateway.problems import documented
from services.gateway.routes.jobs import EXAMPLE
from services.gateway.views import FastJson
from solvers.llvm.install import with_targets
from trimtab.results import KindView
from trimtab.specs.common import request_model

router = APIRouter(prefix="/v1/kinds", tags=["kinds"])
Ctx = Annotated[Context, Depends(context)]
Viewer = Annotated[Principal, Depends(require("viewer"))]


def kind_view(kind: Kind) -> dict[str, Any]:
    """A row of the table for the outside."""
    return {
        "kind": kind.name,
        "summary": kind.spec.SUMMARY,
        "diagnostic": kind.diagnostic,
        "spec_schema": with_targets(kind.spec.model_json_schema()),
        "request_schema": with_targets(request_model(kind.spec).model_json_schema()),
        "example": kind.spec.EXAMPLE or (EXAMPLE if kind.name == EXAMPLE["kind"] else None),
    }


@router.get(
    "",
    response_model=list[KindView],
    responses=documented(401, 403, 429),
    summary="All kinds",
)
async def list_kinds(ctx: Ctx, principal: Viewer) -> Response:
    """Every kind this server offers."""
    return FastJson(
        await asyncio.to_thread(lambda: [kind_view(kind) for kind in ctx.kinds.values()])
    )


@router.get(
    "/{kind}",
    response_model=KindView,
    responses=documented(401, 403, 404, 429),
    summary="One kind",
)
async def get_kind(kind: str, ctx: Ctx, principal: Viewer) -> Response:
    """Its schemas, and an example where there is one."""
    if kind not in ctx.kinds:
        raise NotFound(f"no kind {kind[:100]!r}; there are {', '.join(ctx.kinds)}")
    return FastJson(await asyncio.to_thread(kind_view, ctx.kinds[kind]))

"""`/v1/kinds`: the kinds of problem this server solves, with the JSON schema of each request."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from search.kinds import Kind
from services.errors import NotFound
from services.gateway.deps import Ctx, Viewer
from services.gateway.problems import documented
from services.gateway.routes.jobs import EXAMPLE
from services.gateway.views import FastJson
from solvers.llvm.install import with_targets
from trimtab.results import KindView
from trimtab.specs.common import request_model

router = APIRouter(prefix="/v1/kinds", tags=["kinds"])


def kind_view(kind: Kind) -> dict[str, Any]:
    """Return a row of the table of kinds as a KindView in JSON."""
    return {
        "kind": kind.name,
        "summary": kind.spec.SUMMARY,
        "diagnostic": kind.diagnostic,
        "spec_schema": with_targets(kind.spec.model_json_schema()),
        "request_schema": with_targets(request_model(kind.spec).model_json_schema()),
        "example": kind.spec.EXAMPLE
        or (EXAMPLE if kind.name == EXAMPLE["kind"] else None),
    }


@router.get(
    "", response_model=list[KindView], responses=documented(), summary="List the kinds"
)
async def list_kinds(ctx: Ctx, principal: Viewer) -> Response:
    """Every kind of problem this server solves."""
    return FastJson(
        await asyncio.to_thread(lambda: [kind_view(kind) for kind in ctx.kinds.values()])
    )


@router.get(
    "/{kind}", response_model=KindView, responses=documented(404), summary="Get a kind"
)
async def get_kind(
    kind: Annotated[str, Path(description="word of the kind, e.g. `ilp`")],
    ctx: Ctx,
    principal: Viewer,
) -> Response:
    """The schemas of one kind, with an example if there is one."""
    if kind not in ctx.kinds:
        raise NotFound(
            f"kind: expected one of {', '.join(ctx.kinds)}, got {kind[:100]!r}",
            fix="list the kinds of this server: GET /v1/kinds",
        )
    return FastJson(await asyncio.to_thread(kind_view, ctx.kinds[kind]))

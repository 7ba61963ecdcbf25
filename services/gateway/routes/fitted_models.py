"""`/v1/fitted-models`: the tenant's fitted models, their cards, and their retirement.

`/v1/models` lists language models, as OpenAI's clients expect.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator
from starlette.responses import Response

from services.errors import BadRequest, NotFound
from services.gateway.deps import Ctx, Submitter, Viewer, visible_tenant
from services.gateway.downloads import file_response
from services.gateway.problems import documented
from services.gateway.views import FastJson, fitted_model_view
from services.store.types import ModelFilter, ModelState
from trimtab.cards import Card
from trimtab.results import FittedModelPage, FittedModelView
from trimtab.specs.common import MODEL_ID_PATTERN
from trimtab.specs.learn import Target

router = APIRouter(prefix="/v1/fitted-models", tags=["fitted models"])
_ID = re.compile(rf"^{MODEL_ID_PATTERN}$")


def _model_id(text: str) -> str:
    if not _ID.match(text):
        raise NotFound(
            f"model_id: expected mdl_ and 26 characters, got {text[:100]!r}",
            fix="list the models: GET /v1/fitted-models",
        )
    return text


ModelId = Annotated[
    str, Path(description="id of a fitted model"), AfterValidator(_model_id)
]


@router.get(
    "",
    response_model=FittedModelPage,
    responses=documented(400, 422, 503),
    summary="List fitted models",
)
async def list_fitted_models(
    ctx: Ctx,
    principal: Viewer,
    target: Annotated[
        Target | None, Query(description="kind of job that they are for")
    ] = None,
    state: Annotated[
        list[ModelState] | None, Query(description="repeat for several states")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="models on a page")] = 50,
    cursor: Annotated[
        str | None,
        Query(max_length=100, description="`next_cursor` of the previous page"),
    ] = None,
) -> Response:
    """Newest first. Pass `next_cursor` as `cursor` until it is null."""
    if cursor is not None and not _ID.match(cursor):
        raise BadRequest(
            f"cursor: expected the next_cursor of an earlier page, got {cursor!r}",
            fix="pass `next_cursor` unchanged",
        )
    where = ModelFilter(
        tenant=visible_tenant(principal),
        target=None if target is None else target.value,
        states=tuple(state or ()),
    )
    models = await ctx.store.list_models(where, limit=limit + 1, before_id=cursor)
    next_cursor = models[limit - 1].id if len(models) > limit else None
    items = [fitted_model_view(model) for model in models[:limit]]
    return FastJson({"items": items, "next_cursor": next_cursor})


@router.get(
    "/{model_id}",
    response_model=FittedModelView,
    responses=documented(404, 503),
    summary="Get a fitted model",
)
async def get_fitted_model(model_id: ModelId, ctx: Ctx, principal: Viewer) -> Response:
    """Its target, state, hash and the comparison of its card."""
    model = await ctx.store.get_model(model_id, tenant=visible_tenant(principal))
    return FastJson(fitted_model_view(model))


@router.get(
    "/{model_id}/card",
    response_model=Card,
    responses=documented(404, 503),
    summary="Get the card of a fitted model",
)
async def get_model_card(model_id: ModelId, ctx: Ctx, principal: Viewer) -> Response:
    """What was measured on held-out instances, and the decision that follows from it."""
    model = await ctx.store.get_model(model_id, tenant=visible_tenant(principal))
    return FastJson(dict(model.card))


@router.get(
    "/{model_id}/picture",
    response_class=Response,
    responses={
        200: {
            "description": "The card as a picture",
            "content": {"image/svg+xml": {"schema": {"type": "string"}}},
        },
        **documented(404, 503),
    },
    summary="Get the picture of a card",
)
async def get_model_picture(model_id: ModelId, ctx: Ctx, principal: Viewer) -> Response:
    """SVG without scripts. 404 when the run had no time to draw it."""
    tenant = visible_tenant(principal)
    model = await ctx.store.get_model(model_id, tenant=tenant)
    if model.picture is None:
        raise NotFound(
            f"model {model_id}: expected a picture of its card, got none",
            fix=f"read the card: GET /v1/fitted-models/{model_id}/card",
        )
    record = await ctx.store.get_artifact(model.picture, tenant=model.tenant)
    return file_response(ctx, principal, record.digest, record.name, picture=True)


@router.post(
    "/{model_id}/retire",
    status_code=202,
    response_model=FittedModelView,
    responses=documented(404, 409, 503),
    summary="Retire a fitted model",
)
async def retire_fitted_model(
    model_id: ModelId, ctx: Ctx, principal: Submitter
) -> Response:
    """No job that begins from now on uses it. Jobs that have begun keep it."""
    model = await ctx.store.retire_model(model_id, tenant=visible_tenant(principal))
    return FastJson(fitted_model_view(model), status_code=202)

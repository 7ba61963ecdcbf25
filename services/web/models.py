"""Pages of fitted models: the list, and a model with its card and the card's picture."""

from __future__ import annotations

from types import SimpleNamespace

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.deps import Ctx, Submitter, Viewer, visible_tenant
from services.store.types import ModelFilter, ModelRecord, ModelState
from services.web import formatting
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.render import pages_of, see_other
from trimtab.cards import Card, means

MOST_MODELS, MOST_ROWS = 200, 200

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/models")
async def list_models(request: Request, context: Ctx, principal: Viewer) -> Response:
    """Show the tenant's fitted models, newest first."""
    where = ModelFilter(tenant=visible_tenant(principal))
    models = await context.store.list_models(where, limit=MOST_MODELS)
    now_us = await context.store.now_us()
    return pages_of(request).response(
        "models.html",
        models=[_row(model, now_us) for model in models],
        **signed_in(principal, active="/models"),
    )


@router.get("/models/{model_id}")
async def show_model(
    model_id: str, request: Request, context: Ctx, principal: Viewer
) -> Response:
    """Show a model: what was measured, what follows, and its picture."""
    model = await context.store.get_model(model_id, tenant=visible_tenant(principal))
    now_us = await context.store.now_us()
    card = Card.model_validate(model.card)
    shipped, fitted = means(card)
    unit = f" {card.metric.unit}" if card.metric.unit else ""
    return pages_of(request).response(
        "fitted_model.html",
        model=_row(model, now_us),
        card=card,
        facts=[
            ("Kind of job", model.target),
            ("Fitted by", model.job_id),
            ("Metric", f"{card.metric.name}{unit}, {card.metric.better.value} is better"),
            ("Shipped model", f"{shipped:.4g}{unit}"),
            ("Fitted model", f"{fitted:.4g}{unit}"),
            ("Instances", f"{card.sizes.fit} to fit, {card.sizes.held_out} held out"),
            ("Scope", formatting.flat(card.scope)),
            ("Seed", str(card.seed)),
            ("Data", card.data_sha256),
            ("File", model.digest),
        ],
        rows=card.rows[:MOST_ROWS],
        left_out=max(0, len(card.rows) - MOST_ROWS),
        picture=f"/v1/fitted-models/{model.id}/picture" if model.picture else "",
        **signed_in(principal, active="/models"),
    )


@router.post("/models/{model_id}/retire")
async def retire_model(model_id: str, context: Ctx, principal: Submitter) -> Response:
    """Withdraw a model."""
    await context.store.retire_model(model_id, tenant=visible_tenant(principal))
    return see_other(f"/models/{model_id}")


def _row(model: ModelRecord, now_us: int) -> SimpleNamespace:
    return SimpleNamespace(
        id=model.id,
        target=model.target,
        state=model.state.value,
        adopted=model.state is ModelState.ADOPTED,
        job=model.job_id,
        created_us=model.created_us,
        created=formatting.since(now_us, model.created_us),
        reason=next(iter(model.card.get("reasons", ())), ""),
    )

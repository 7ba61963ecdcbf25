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
    models = await context.store.list_models(where, limit=MOST_MODELS + 1)
    now_us = await context.store.now_us()
    return pages_of(request).response(
        "models.html",
        models=[_row(model, now_us) for model in models[:MOST_MODELS]],
        left_out=len(models) > MOST_MODELS,
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
    unit, unit_words = "", ""
    if card.metric.unit:
        unit, unit_words = f" {card.metric.unit}", f" ({card.metric.unit})"
    rows = sorted(card.rows, key=lambda row: row.shipped)
    return pages_of(request).response(
        "fitted_model.html",
        model=_row(model, now_us),
        card=card,
        facts=[
            ("Metric", f"{card.metric.name}{unit_words}, {card.metric.better} is better"),
            ("Shipped model", f"{formatting.brief(shipped)}{unit}"),
            ("Fitted model", f"{formatting.brief(fitted)}{unit}"),
            ("Instances", f"{card.sizes.fit} to fit, {card.sizes.held_out} held out"),
            ("Model file", formatting.size(model.size_bytes)),
            ("Seed", str(card.seed)),
        ],
        scope=formatting.flat(card.scope, formatting.brief),
        unit_words=unit_words,
        rows=[_brief(row, "instance", "shipped", "fitted") for row in rows[:MOST_ROWS]],
        curve=[
            _brief(point, "stage", "step", "loss", "validation") for point in card.curve
        ],
        left_out=max(0, len(card.rows) - MOST_ROWS),
        picture=f"/v1/fitted-models/{model.id}/picture" if model.picture else "",
        **signed_in(principal, active="/models"),
    )


@router.post("/models/{model_id}/retire")
async def retire_model(model_id: str, context: Ctx, principal: Submitter) -> Response:
    """Withdraw a model."""
    await context.store.retire_model(model_id, tenant=visible_tenant(principal))
    return see_other(f"/models/{model_id}")


def _brief(value: object, *names: str) -> SimpleNamespace:
    """Return fields of a card as text, numbers with three digits."""
    fields = {name: getattr(value, name) for name in names}
    return SimpleNamespace(
        **{name: formatting.flat(one, formatting.brief) for name, one in fields.items()}
    )


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

"""Fitted models with sound cards, as a job of kind `learn` registers them."""

from __future__ import annotations

import random

from services.store.types import ModelState, NewModel
from trimtab.cards import Card, CardRow, CurvePoint, Metric, Sizes, judged

WEIGHTS = "sha256:" + "1" * 64


def model_id(number: int) -> str:
    """Return the id of a model."""
    return f"mdl_{number:026d}"


def card_of(
    *, better: bool = True, target: str = "sharding", name: str = "set", note: str = ""
) -> Card:
    """Return the card of eight held-out instances, whose decision follows from its rows."""
    rng = random.Random(5)
    rows = tuple(
        CardRow(
            instance=f"{name}#{number}",
            key=f"{number:064x}",
            shipped=(shipped := 90 + rng.random()),
            fitted=shipped / 7 if better else shipped + rng.gauss(0, 1),
        )
        for number in range(8)
    )
    metric = Metric(name="absolute percentage error", unit="%")
    difference, decision, reasons = judged(rows, metric, seed=3)
    return Card(
        target=target,
        metric=metric,
        data_sha256="2" * 64,
        model_sha256="1" * 64,
        model_bytes=2048,
        command="{}",
        seed=3,
        sizes=Sizes(instances=32, fit=24, held_out=8),
        rows=rows,
        difference=difference,
        decision=decision,
        reasons=reasons,
        notes=(note,) if note else (),
        scope={"hardware": "a100", "factors": [0.123456789, 1.5]},
        curve=(CurvePoint(stage="fit", step=25, loss=0.0123456, validation=0.2),),
    )


def new_model(number: int, card: Card, *, picture: str | None = None) -> NewModel:
    """Return the model of a card."""
    return NewModel(
        id=model_id(number),
        target=card.target,
        digest=WEIGHTS,
        size_bytes=card.model_bytes,
        picture=picture,
        state=ModelState(card.decision.value),
        card=card.model_dump(mode="json"),
    )

"""Registry of fitted models: what a job may use, and what a job of kind `learn` registers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from search.kinds import Kind
from services.errors import InvalidBody, NotFound, field_error
from services.store.ids import IdMaker
from services.store.types import (
    JobRecord,
    JobStore,
    ModelFilter,
    ModelRecord,
    ModelState,
    NewModel,
)
from trimtab.cards import Card, disagreements
from trimtab.model_file import ModelRefused, check_header
from trimtab.specs.common import MODEL_AUTO, MODEL_SHIPPED
from trimtab.specs.learn import CARD_FILE, MODEL_FILE, PICTURE_FILE

MOST_CANDIDATES = 8
"""Newest adopted models that a job with `model: auto` may choose among."""
MOST_CARD_BYTES = 8 * 2**20

_new_id = IdMaker("mdl")


class ModelNotRegistered(ValueError):
    """A job's model and card do not belong together, or the card does not follow from its rows."""


async def require_usable(
    store: JobStore, *, tenant: str, kind: str, model: str, index: int
) -> None:
    """Raise InvalidBody unless a job of this kind can use the model that it names."""
    if model in (MODEL_AUTO, MODEL_SHIPPED):
        return
    try:
        record = await store.get_model(model, tenant=tenant)
    except NotFound:
        got = model
    else:
        if record.target == kind and record.state is ModelState.ADOPTED:
            return
        got = f"{model}, which is {record.state.value} and for kind {record.target}"
    expected = f"an adopted model for kind {kind}"
    raise InvalidBody(
        f"job {index}: model: expected {expected}, got {got}",
        errors=[field_error("model", got=got, expected=expected)],
        fix="list the models: GET /v1/fitted-models; or leave it out",
    )


async def usable_models(
    store: JobStore, job: JobRecord, fence: int, kind: Kind
) -> tuple[str, list[ModelRecord]]:
    """Return a job's choice, and the models that it may use, newest first.

    The first attempt of a job pins them, so that every attempt has the same. Raises NotFound for
    a model that is gone, and StaleFence.
    """
    if not kind.spec.MODELS:
        return MODEL_AUTO, []
    pins = await store.model_pins(job.id)
    listed: list[ModelRecord] = []
    if pins.models is None:
        listed = await _candidates(store, job, pins.wanted)
        pins = await store.pin_models(job.id, fence, [model.id for model in listed])
    assert pins.models is not None
    if tuple(model.id for model in listed) != pins.models:
        listed = [await store.get_model(one, tenant=job.tenant) for one in pins.models]
    return pins.wanted, listed


async def _candidates(store: JobStore, job: JobRecord, wanted: str) -> list[ModelRecord]:
    if wanted == MODEL_SHIPPED:
        return []
    if wanted != MODEL_AUTO:
        return [await store.get_model(wanted, tenant=job.tenant)]
    where = ModelFilter(tenant=job.tenant, target=job.kind, states=(ModelState.ADOPTED,))
    return await store.list_models(where, limit=MOST_CANDIDATES)


def new_model(files: Mapping[str, Path]) -> NewModel | None:
    """Return the model that a job of kind `learn` registers; None when it made none.

    files: the job's produced files by name.

    The run that wrote them read its owner's files, so nothing of it is believed: the header of the
    model file is checked, and the decision is derived again. Raises ModelNotRegistered.
    """
    if MODEL_FILE not in files or CARD_FILE not in files:
        return None
    content = files[MODEL_FILE].read_bytes()
    text = files[CARD_FILE].read_bytes()
    if len(text) > MOST_CARD_BYTES:
        raise ModelNotRegistered(
            f"card: expected at most {MOST_CARD_BYTES:,} bytes, got {len(text):,}"
        )
    try:
        header = check_header(content)
        card = Card.model_validate_json(text)
    except ModelRefused as error:
        raise ModelNotRegistered(str(error)) from None
    except ValidationError as error:
        raise ModelNotRegistered(f"card: {error.errors()[0]['msg']}") from None
    faults = disagreements(card)
    sha256 = hashlib.sha256(content).hexdigest()
    if card.model_sha256 != sha256:
        faults.append("card.model_sha256: expected the hash of the model file")
    if header.target != card.target:
        faults.append(f"card.target: expected {header.target}, got {card.target}")
    if faults:
        raise ModelNotRegistered("; ".join(faults)[:2000])
    picture = None
    if PICTURE_FILE in files:
        with files[PICTURE_FILE].open("rb") as file:
            picture = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    return NewModel(
        id=_new_id(),
        target=card.target,
        digest=f"sha256:{sha256}",
        size_bytes=len(content),
        picture=picture,
        state=ModelState(card.decision.value),
        card=card.model_dump(mode="json"),
    )


def about(model: NewModel) -> dict[str, Any]:
    """Return the entry `model` of a result's summary."""
    return {"id": model.id, "state": model.state.value}

"""The field of a submit form that chooses among the tenant's fitted models."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from search.kinds import Kind
from services.errors import NotFound
from services.store.types import JobStore, ModelFilter, ModelRecord, ModelState
from services.web import formatting
from services.web.forms import Control, Field
from trimtab.specs.common import MODEL_AUTO, MODEL_SHIPPED

MOST_MODELS = 50
PATH = ("model",)
_HELP = (
    "Automatic: the newest adopted model whose scope covers the input, else the shipped one. The "
    "result says which was used and why."
)
_FIXED = ((MODEL_AUTO, "Automatic"), (MODEL_SHIPPED, "None (shipped model)"))


async def with_models(
    root: Field, store: JobStore, *, tenant: str, kind: Kind, chosen: str
) -> Field:
    """Return a request's form with the adopted models of the tenant as choices.

    chosen: the answer so far. It stays a choice after its model was retired, so that a cloned job
    shows what it asked for. A kind that takes no fitted models has no such field.
    """
    if not kind.spec.MODELS:
        return replace(
            root, children=tuple(item for item in root.children if item.path != PATH)
        )
    models = await _models(store, tenant, kind.name, chosen)
    choices = [*_FIXED, *((model.id, _words(model)) for model in models)]
    return replace(
        root,
        children=tuple(
            replace(
                item,
                control=Control.CHOICE,
                label="Fitted model",
                help=_HELP,
                choices=tuple(value for value, _ in choices),
                choice_words=tuple(words for _, words in choices),
            )
            if item.path == PATH
            else item
            for item in root.children
        ),
    )


async def _models(
    store: JobStore, tenant: str, kind: str, chosen: str
) -> list[ModelRecord]:
    where = ModelFilter(tenant=tenant, target=kind, states=(ModelState.ADOPTED,))
    models = await store.list_models(where, limit=MOST_MODELS)
    known = {MODEL_AUTO, MODEL_SHIPPED, *(model.id for model in models)}
    if chosen and chosen not in known:
        with suppress(NotFound):  # the form reports it as an unknown choice
            models.append(await store.get_model(chosen, tenant=tenant))
    return models


def _words(model: ModelRecord) -> str:
    state = "" if model.state is ModelState.ADOPTED else f", {model.state.value}"
    return f"{formatting.minute(model.created_us)}, {model.id}{state}"

"""Rows of fitted models, and of the models that a job may use."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select, update

from services.errors import StaleFence
from services.store import codec
from services.store.refusals import no_such_model, require_retirable
from services.store.sql import leases, rows
from services.store.sql.tx import Tx
from services.store.types import ModelFilter, ModelPins, ModelRecord, ModelState

_GET = select(rows.model).where(rows.model.c.id == bindparam("model_id"))
_PINS = select(rows.job_models).where(rows.job_models.c.job_id == bindparam("of_job"))
_RETIRE = (
    update(rows.model)
    .where(rows.model.c.id == bindparam("model_id"))
    .values(state=ModelState.RETIRED.value)
)


def list_models(
    tx: Tx, where: ModelFilter, limit: int, before_id: str | None
) -> list[ModelRecord]:
    """Return models, newest first."""
    model = rows.model
    query = select(model).order_by(model.c.id.desc()).limit(limit)
    if where.tenant is not None:
        query = query.where(model.c.tenant == where.tenant)
    if where.target is not None:
        query = query.where(model.c.target == where.target)
    if where.states:
        query = query.where(model.c.state.in_([state.value for state in where.states]))
    if before_id is not None:
        query = query.where(model.c.id < before_id)
    return [rows.model_record(row) for row in tx.conn.execute(query)]


def get(tx: Tx, model_id: str, tenant: str | None) -> ModelRecord:
    """Return a model. Raises NotFound."""
    row = tx.conn.execute(_GET, {"model_id": model_id}).one_or_none()
    if row is None or tenant not in (None, row.tenant):
        raise no_such_model(model_id)
    return rows.model_record(row)


def retire(tx: Tx, model_id: str, tenant: str | None) -> ModelRecord:
    """Withdraw an adopted model. Raises NotFound and Conflict."""
    require_retirable(get(tx, model_id, tenant))
    tx.conn.execute(_RETIRE, {"model_id": model_id})
    return get(tx, model_id, tenant)


def pin(
    tx: Tx, job_id: str, fence: int, model_ids: Sequence[str]
) -> ModelPins | StaleFence:
    """Record the models that a job may use, unless that was done; return the record."""
    if (refused := leases.refusal(tx, job_id, fence)) is not None:
        return refused
    known = pins(tx, job_id)
    if known.models is not None:
        return known
    text = codec.dumps(list(model_ids))
    first = tx.upsert(rows.job_models).values(
        job_id=job_id, wanted=known.wanted, models=text
    )
    tx.conn.execute(
        first.on_conflict_do_update(index_elements=["job_id"], set_={"models": text})
    )
    return pins(tx, job_id)


def pins(tx: Tx, job_id: str) -> ModelPins:
    """Return a job's choice, and the models that it may use."""
    row = tx.conn.execute(_PINS, {"of_job": job_id}).one_or_none()
    if row is None:
        return ModelPins()
    models = codec.optional_loads(row.models)
    return ModelPins(wanted=row.wanted, models=None if models is None else tuple(models))

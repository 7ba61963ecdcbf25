"""Conversion between records and rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, Select, select

from services.store import codec, searching, tables
from services.store.types import (
    ApiKeyRecord,
    ArtifactRecord,
    AttemptRecord,
    DeliveryRecord,
    Edge,
    EventRecord,
    JobRecord,
    MemoRecord,
    ModelRecord,
    ModelState,
    OutboxRecord,
    PendingInput,
)
from trimtab.results import EventType, JobState

job = tables.table(tables.Job)
spec = tables.table(tables.JobSpec)
result = tables.table(tables.JobResult)
checkpoint = tables.table(tables.JobCheckpoint)
memo = tables.table(tables.JobMemo)
label = tables.table(tables.JobLabel)
edge = tables.table(tables.JobEdge)
pending_input = tables.table(tables.JobInput)
attempt = tables.table(tables.Attempt)
event = tables.table(tables.Event)
artifact = tables.table(tables.Artifact)
reference = tables.table(tables.JobArtifact)
model = tables.table(tables.Model)
job_models = tables.table(tables.JobModels)
saved_view = tables.table(tables.SavedView)
idempotency = tables.table(tables.IdempotencyKey)
outbox = tables.table(tables.Outbox)
api_key = tables.table(tables.ApiKey)
delivery = tables.table(tables.Delivery)
ended_session = tables.table(tables.EndedSession)
counter = tables.table(tables.Counter)
delivery_attempt = tables.table(tables.DeliveryAttempt)
audit = tables.table(tables.Audit)
usage = tables.table(tables.Usage)
retention = tables.table(tables.Retention)


def full_job() -> Select[Any]:
    """Return the query of jobs with spec and result."""
    return (
        select(job, spec.c.spec, result.c.result)
        .join(spec, spec.c.job_id == job.c.id)
        .outerjoin(result, result.c.job_id == job.c.id)
    )


def job_record(row: Row[Any], *, listed: bool = False) -> JobRecord:
    """Convert a row; `listed`: one without spec and result."""
    return JobRecord(
        id=row.id,
        tenant=row.tenant,
        kind=row.kind,
        spec={} if listed else codec.loads(row.spec),
        budget=codec.loads(row.budget),
        seed=row.seed,
        priority=row.priority,
        labels=codec.loads(row.labels),
        max_attempts=row.max_attempts,
        webhook=codec.optional_loads(row.webhook),
        state=JobState(row.state),
        attempt=row.attempt,
        fence=row.fence,
        owner=row.owner,
        lease_until_us=row.lease_until_us,
        heartbeat_us=row.heartbeat_us,
        run_at_us=row.run_at_us,
        stop_requested=bool(row.stop_requested),
        cancel_requested=bool(row.cancel_requested),
        phase=row.phase,
        best=codec.optional_loads(row.best),
        termination=codec.optional_loads(row.termination),
        result=None if listed else codec.optional_loads(row.result),
        created_us=row.created_us,
        started_us=row.started_us,
        finished_us=row.finished_us,
        last_seq=row.last_seq,
        has_checkpoint=bool(row.has_checkpoint),
        waits=row.waits,
        has_memo=bool(row.has_memo),
        graph=row.graph,
        name=row.name,
    )


def new_job_row(record: JobRecord) -> dict[str, Any]:
    """Return the columns of a new job, without spec and result."""
    return {
        "id": record.id,
        "tenant": record.tenant,
        "kind": record.kind,
        "priority": record.priority,
        "rank": -record.priority,
        "seed": record.seed,
        "budget": codec.dumps(record.budget),
        **naming_columns(record),
        "max_attempts": record.max_attempts,
        "webhook": codec.optional_dumps(record.webhook),
        "created_us": record.created_us,
        **moving_columns(record),
    }


def naming_columns(record: JobRecord) -> dict[str, Any]:
    """Return the columns that the owner may change at any time."""
    return {
        "name": record.name,
        "name_key": searching.name_key(record.name),
        "labels": codec.dumps(record.labels),
        "search_text": searching.search_text(record),
    }


def moving_columns(record: JobRecord) -> dict[str, Any]:
    """Return the columns that a lifecycle change may write."""
    return {
        "state": record.state.value,
        "attempt": record.attempt,
        "fence": record.fence,
        "owner": record.owner,
        "lease_until_us": record.lease_until_us,
        "heartbeat_us": record.heartbeat_us,
        "run_at_us": record.run_at_us,
        "stop_requested": int(record.stop_requested),
        "cancel_requested": int(record.cancel_requested),
        "phase": record.phase,
        "best": codec.optional_dumps(record.best),
        "termination": codec.optional_dumps(record.termination),
        "started_us": record.started_us,
        "finished_us": record.finished_us,
        "last_seq": record.last_seq,
        "has_checkpoint": int(record.has_checkpoint),
        "waits": record.waits,
        "has_memo": int(record.has_memo),
        "graph": record.graph,
        "events_cut": 0,  # retention cuts ended jobs only, and a re-drive adds events
        "search_text": searching.search_text(record),
        "objective": searching.objective(record),
        "gap": searching.gap(record),
    }


def memo_record(row: Row[Any]) -> MemoRecord:
    """Convert a row of a memo."""
    return MemoRecord(
        revision=row.revision,
        body=codec.loads(row.body),
        digest=row.digest,
        approved=row.approved,
    )


def edge_record(row: Row[Any]) -> Edge:
    """Convert a row of an edge."""
    return Edge(parent=row.parent, child=row.child, needs_success=bool(row.needs_success))


def input_record(row: Row[Any]) -> PendingInput:
    """Convert a row of a file that another job is to produce."""
    return PendingInput(
        child=row.job_id,
        path=tuple(codec.loads(row.path)),
        parent=row.parent,
        output=row.output,
        digest=row.digest,
    )


def event_record(row: Row[Any]) -> EventRecord:
    """Convert a row of an event."""
    return EventRecord(
        job_id=row.job_id,
        seq=row.seq,
        type=EventType(row.type),
        at_us=row.at_us,
        data=codec.loads(row.data),
    )


def attempt_record(row: Row[Any]) -> AttemptRecord:
    """Convert a row of an attempt."""
    return AttemptRecord(**row._mapping)


def outbox_record(row: Row[Any]) -> OutboxRecord:
    """Convert a row of the outbox."""
    columns = dict(row._mapping)
    return OutboxRecord(**{**columns, "payload": codec.loads(row.payload)})


def delivery_record(row: Row[Any]) -> DeliveryRecord:
    """Convert a row of a delivery state."""
    columns = dict(row._mapping)
    return DeliveryRecord(
        **{name: columns[name] for name in DeliveryRecord.__dataclass_fields__}
    )


def artifact_record(row: Row[Any]) -> ArtifactRecord:
    """Convert a row of a file."""
    columns = dict(row._mapping)
    return ArtifactRecord(
        **{name: columns[name] for name in ArtifactRecord.__dataclass_fields__}
    )


def model_record(row: Row[Any]) -> ModelRecord:
    """Convert a row of a model."""
    columns = dict(row._mapping)
    return ModelRecord(
        **{
            **columns,
            "state": ModelState(row.state),
            "card": codec.loads(row.card),
        }
    )


def model_columns(record: ModelRecord) -> dict[str, Any]:
    """Return a model as a row."""
    return {
        **asdict(record),
        "state": record.state.value,
        "card": codec.dumps(record.card),
    }


def key_record(row: Row[Any]) -> ApiKeyRecord:
    """Convert a row of an API key."""
    columns = dict(row._mapping)
    return ApiKeyRecord(
        **{
            **columns,
            "scopes": tuple(codec.loads(row.scopes)),
            "limits": codec.loads(row.limits),
            "revoked": bool(row.revoked),
        }
    )

"""Database tables as SQLModel classes. They do not validate and never leave the store.

`job` is written at every heartbeat and progress report and stays small: specs and results,
which may be megabytes, are in `job_spec` and `job_result` and written once. JSON is stored as
text in both databases; times are integer microseconds. Keys and constraints are named by one
convention, which Alembic needs for SQLite.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlmodel import Field, SQLModel

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(SQLModel):
    """Base with its own metadata, so that no other SQLModel table of the process is included."""

    metadata = MetaData(naming_convention=NAMES)


def _big(*, nullable: bool = False, **more: object) -> Column[int]:
    return Column(BigInteger, nullable=nullable, **more)  # type: ignore[arg-type]


def _text(*parts: object, nullable: bool = False, **more: object) -> Column[str]:
    return Column(Text, *parts, nullable=nullable, **more)  # type: ignore[arg-type]


def _serial() -> Column[int]:
    """Return a counted key. SQLite counts INTEGER columns only."""
    whole = BigInteger().with_variant(Integer(), "sqlite")
    return Column(whole, primary_key=True)


def _job_id(*, primary_key: bool = True) -> Column[str]:
    return Column(
        Text,
        ForeignKey("job.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )


class Job(Base, table=True):
    """A job without spec and result."""

    __tablename__ = "job"
    __table_args__ = (
        # claim: the due job of highest priority, then the oldest. Not a partial index on
        # (rank, id): without an equality, SQLite's planner uses ix_job_state_id and sorts the
        # whole queue (60 ms at 100,000 jobs).
        Index("ix_job_claim", "state", "rank", "id"),
        # sweep: expired leases
        Index(
            "ix_job_lease",
            "lease_until_us",
            sqlite_where=text("state = 'RUNNING'"),
            postgresql_where=text("state = 'RUNNING'"),
        ),
        # counts and listings of one tenant by state
        Index("ix_job_tenant_state_id", "tenant", "state", "id"),
        # listings of one tenant, newest first
        Index("ix_job_tenant_id", "tenant", "id"),
        # searches, and listings in any order: they read this index alone
        Index(
            "ix_job_listing",
            "tenant",
            "id",
            "kind",
            "state",
            "created_us",
            "started_us",
            "finished_us",
            "objective",
            "gap",
            "name_key",
            "search_text",
        ),
        # counts and listings over all tenants
        Index("ix_job_state_id", "state", "id"),
        # sweep: jobs that rested for too long
        Index(
            "ix_job_rest",
            "run_at_us",
            sqlite_where=text("state IN ('NEEDS_INPUT', 'AWAITING_APPROVAL')"),
            postgresql_where=text("state IN ('NEEDS_INPUT', 'AWAITING_APPROVAL')"),
        ),
        # retention: ended jobs of a tenant, oldest first
        Index(
            "ix_job_ended",
            "tenant",
            "finished_us",
            "id",
            sqlite_where=text("finished_us IS NOT NULL"),
            postgresql_where=text("finished_us IS NOT NULL"),
        ),
        # retention: those whose events are complete
        Index(
            "ix_job_uncut",
            "tenant",
            "finished_us",
            "id",
            sqlite_where=text("finished_us IS NOT NULL AND events_cut = 0"),
            postgresql_where=text("finished_us IS NOT NULL AND events_cut = 0"),
        ),
        # the jobs of a plan
        Index(
            "ix_job_graph",
            "graph",
            "id",
            sqlite_where=text("graph IS NOT NULL"),
            postgresql_where=text("graph IS NOT NULL"),
        ),
    )

    id: str = Field(sa_column=_text(primary_key=True))
    tenant: str = Field(sa_column=_text())
    kind: str = Field(sa_column=_text())
    state: str = Field(sa_column=_text())
    priority: int = Field(sa_column=_big())
    # -priority, because Alembic cannot compare an index on `priority DESC`
    rank: int = Field(sa_column=_big())
    seed: int = Field(sa_column=_big())
    budget: str = Field(sa_column=_text())
    labels: str = Field(sa_column=_text())
    max_attempts: int = Field(sa_column=_big())
    webhook: str | None = Field(sa_column=_text(nullable=True))
    attempt: int = Field(sa_column=_big())
    fence: int = Field(sa_column=_big())
    owner: str | None = Field(sa_column=_text(nullable=True))
    lease_until_us: int | None = Field(sa_column=_big(nullable=True))
    heartbeat_us: int | None = Field(sa_column=_big(nullable=True))
    run_at_us: int = Field(sa_column=_big())
    stop_requested: int = Field(sa_column=_big())
    cancel_requested: int = Field(sa_column=_big())
    phase: str | None = Field(sa_column=_text(nullable=True))
    best: str | None = Field(sa_column=_text(nullable=True))
    termination: str | None = Field(sa_column=_text(nullable=True))
    created_us: int = Field(sa_column=_big())
    started_us: int | None = Field(sa_column=_big(nullable=True))
    finished_us: int | None = Field(sa_column=_big(nullable=True))
    last_seq: int = Field(sa_column=_big())
    has_checkpoint: int = Field(sa_column=_big(server_default="0"))
    waits: int = Field(sa_column=_big(server_default="0"))
    has_memo: int = Field(sa_column=_big(server_default="0"))
    graph: str | None = Field(sa_column=_text(nullable=True))
    # seq up to which retention removed events; 0: none
    events_cut: int = Field(sa_column=_big(server_default="0"))
    name: str = Field(sa_column=_text(server_default=""))
    name_key: str = Field(sa_column=_text(server_default=""))
    search_text: str = Field(sa_column=_text(server_default=""))
    objective: float | None = Field(sa_column=Column(Double, nullable=True))
    gap: float | None = Field(sa_column=Column(Double, nullable=True))


class SavedView(Base, table=True):
    """A filter and order of the job list under a name."""

    __tablename__ = "saved_view"
    tenant: str = Field(sa_column=_text(primary_key=True))
    name: str = Field(sa_column=_text(primary_key=True))
    query: str = Field(sa_column=_text())
    created_us: int = Field(sa_column=_big())


class JobSpec(Base, table=True):
    """Spec of a job."""

    __tablename__ = "job_spec"
    job_id: str = Field(sa_column=_job_id())
    spec: str = Field(sa_column=_text())


class JobEdge(Base, table=True):
    """`child` waits for `parent`."""

    __tablename__ = "job_edge"
    __table_args__ = (Index("ix_job_edge_child", "child"),)
    parent: str = Field(
        sa_column=_text(
            ForeignKey("job.id", ondelete="CASCADE"),
            primary_key=True,
        )
    )
    child: str = Field(
        sa_column=_text(
            ForeignKey("job.id", ondelete="CASCADE"),
            primary_key=True,
        )
    )
    needs_success: int = Field(sa_column=_big())


class JobInput(Base, table=True):
    """File of a spec that another job is to produce; `digest` once that job has succeeded.

    `path` is the place in the spec, as a JSON array.
    """

    __tablename__ = "job_input"
    __table_args__ = (Index("ix_job_input_parent", "parent"),)
    job_id: str = Field(sa_column=_job_id())
    path: str = Field(sa_column=_text(primary_key=True))
    parent: str = Field(sa_column=_text())
    output: str = Field(sa_column=_text())
    digest: str | None = Field(sa_column=_text(nullable=True))


class JobResult(Base, table=True):
    """Result of a job."""

    __tablename__ = "job_result"
    job_id: str = Field(sa_column=_job_id())
    result: str = Field(sa_column=_text())


class JobMemo(Base, table=True):
    """What a job at rest keeps for its next run, and shows its owner."""

    __tablename__ = "job_memo"
    job_id: str = Field(sa_column=_job_id())
    revision: int = Field(sa_column=_big())
    digest: str = Field(sa_column=_text())
    approved: str | None = Field(sa_column=_text(nullable=True))
    body: str = Field(sa_column=_text())


class JobCheckpoint(Base, table=True):
    """Best solution of an active job, as its newest attempt sent it."""

    __tablename__ = "job_checkpoint"
    job_id: str = Field(sa_column=_job_id())
    fence: int = Field(sa_column=_big())
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class JobLabel(Base, table=True):
    """Label of a job, for filters; `job.labels` has it too."""

    __tablename__ = "job_label"
    __table_args__ = (Index("ix_job_label_name_value_job_id", "name", "value", "job_id"),)
    job_id: str = Field(sa_column=_job_id())
    name: str = Field(sa_column=_text(primary_key=True))
    value: str = Field(sa_column=_text())


class Attempt(Base, table=True):
    """One attempt, identified by its fence: numbers restart after a re-drive."""

    __tablename__ = "attempt"
    job_id: str = Field(sa_column=_job_id())
    fence: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    number: int = Field(sa_column=_big())
    worker: str = Field(sa_column=_text())
    started_us: int = Field(sa_column=_big())
    ended_us: int | None = Field(sa_column=_big(nullable=True))
    outcome: str | None = Field(sa_column=_text(nullable=True))


class Event(Base, table=True):
    """Event of a job."""

    __tablename__ = "event"
    job_id: str = Field(sa_column=_job_id())
    seq: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    type: str = Field(sa_column=_text())
    at_us: int = Field(sa_column=_big())
    data: str = Field(sa_column=_text())


class Artifact(Base, table=True):
    """Owner of a stored file. Tenants share bytes, not rows."""

    __tablename__ = "artifact"
    __table_args__ = (
        Index("ix_artifact_digest", "digest"),
        Index("ix_artifact_created_us", "created_us"),
        # listings and retention of one tenant
        Index("ix_artifact_tenant_used_us_digest", "tenant", "used_us", "digest"),
    )
    tenant: str = Field(sa_column=_text(primary_key=True))
    digest: str = Field(sa_column=_text(primary_key=True))
    name: str = Field(sa_column=_text())
    media_type: str = Field(sa_column=_text())
    size_bytes: int = Field(sa_column=_big())
    created_us: int = Field(sa_column=_big())
    # Newest upload or production of these bytes, from which their age is counted.
    used_us: int = Field(sa_column=_big(server_default="0"))


class JobArtifact(Base, table=True):
    """Reference of a job to a file, as `input` or `output`; it keeps the file."""

    __tablename__ = "job_artifact"
    __table_args__ = (Index("ix_job_artifact_tenant_digest", "tenant", "digest"),)
    job_id: str = Field(sa_column=_job_id())
    role: str = Field(sa_column=_text(primary_key=True))
    digest: str = Field(sa_column=_text(primary_key=True))
    tenant: str = Field(sa_column=_text())


class Model(Base, table=True):
    """Fitted model of a tenant. Outlives the job that made it; keeps its files unless rejected."""

    __tablename__ = "model"
    __table_args__ = (
        # listings, and candidates for a job, of one tenant, newest first
        Index("ix_model_tenant_target_state_id", "tenant", "target", "state", "id"),
        Index("ix_model_tenant_digest", "tenant", "digest"),
        Index("ix_model_tenant_picture", "tenant", "picture"),
    )
    id: str = Field(sa_column=_text(primary_key=True))
    tenant: str = Field(sa_column=_text())
    target: str = Field(sa_column=_text())
    job_id: str = Field(sa_column=_text())
    created_us: int = Field(sa_column=_big())
    size_bytes: int = Field(sa_column=_big())
    digest: str = Field(sa_column=_text())
    picture: str | None = Field(sa_column=_text(nullable=True))
    state: str = Field(sa_column=_text())
    card: str = Field(sa_column=_text())


class JobModels(Base, table=True):
    """Choice of a job among fitted models, unless it is `auto` and nothing is pinned yet.

    `models`: those that it may use, as its first attempt found them; a JSON array, newest first.
    """

    __tablename__ = "job_models"
    job_id: str = Field(sa_column=_job_id())
    wanted: str = Field(sa_column=_text())
    models: str | None = Field(sa_column=_text(nullable=True))


class IdempotencyKey(Base, table=True):
    """Idempotency key with the jobs it created. Outlives them: a late retry must not run again."""

    __tablename__ = "idempotency"
    __table_args__ = (Index("ix_idempotency_expires_us", "expires_us"),)
    tenant: str = Field(sa_column=_text(primary_key=True))
    key: str = Field(sa_column=_text(primary_key=True))
    request_digest: str = Field(sa_column=_text())
    job_ids: str = Field(sa_column=_text())
    expires_us: int = Field(sa_column=_big())


class Outbox(Base, table=True):
    """Webhook to deliver. Outlives its job, so that a deletion does not lose it."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_next_try_us", "next_try_us"),
        Index("ix_outbox_job_id", "job_id"),
        {"sqlite_autoincrement": True},
    )
    id: int | None = Field(default=None, sa_column=_serial())
    tenant: str = Field(sa_column=_text())
    job_id: str = Field(sa_column=_text())
    url: str = Field(sa_column=_text())
    payload: str = Field(sa_column=_text())
    tries: int = Field(sa_column=_big())
    next_try_us: int = Field(sa_column=_big())


class ApiKey(Base, table=True):
    """API key."""

    __tablename__ = "api_key"
    __table_args__ = (Index("ix_api_key_tenant", "tenant"),)
    id: str = Field(sa_column=_text(primary_key=True))
    tenant: str = Field(sa_column=_text())
    name: str = Field(sa_column=_text())
    secret_sha256: str = Field(sa_column=_text())
    scopes: str = Field(sa_column=_text())
    created_us: int = Field(sa_column=_big())
    expires_us: int | None = Field(sa_column=_big(nullable=True))
    revoked: int = Field(sa_column=_big())
    limits: str = Field(sa_column=_text())
    last_used_us: int | None = Field(sa_column=_big(nullable=True))
    # The secret before the newest rotation, and until when it is accepted.
    old_sha256: str | None = Field(sa_column=_text(nullable=True))
    old_until_us: int | None = Field(sa_column=_big(nullable=True))


class Delivery(Base, table=True):
    """Delivery state of a job's webhook."""

    __tablename__ = "delivery"
    __table_args__ = (Index("ix_delivery_tenant_job_id", "tenant", "job_id"),)
    job_id: str = Field(sa_column=_job_id())
    state: str = Field(sa_column=_text())
    tries: int = Field(sa_column=_big())
    detail: str = Field(sa_column=_text())
    at_us: int = Field(sa_column=_big())
    tenant: str = Field(sa_column=_text(server_default=""))
    status_code: int | None = Field(sa_column=_big(nullable=True))
    next_try_us: int | None = Field(sa_column=_big(nullable=True))


class DeliveryAttempt(Base, table=True):
    """One try to deliver a job's webhook, re-sends included; the newest ones are kept."""

    __tablename__ = "delivery_attempt"
    job_id: str = Field(sa_column=_job_id())
    number: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    at_us: int = Field(sa_column=_big())
    status_code: int | None = Field(sa_column=_big(nullable=True))
    detail: str = Field(sa_column=_text())


class Audit(Base, table=True):
    """Entry of the audit log. A trigger refuses updates; retention deletes the oldest."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_tenant_id", "tenant", "id"),
        Index("ix_audit_target_id", "target", "id"),
        {"sqlite_autoincrement": True},
    )
    id: int | None = Field(default=None, sa_column=_serial())
    at_us: int = Field(sa_column=_big())
    tenant: str = Field(sa_column=_text())
    key_id: str = Field(sa_column=_text())
    action: str = Field(sa_column=_text())
    target: str = Field(sa_column=_text())
    address: str = Field(sa_column=_text())
    agent: str = Field(sa_column=_text())
    detail: str = Field(sa_column=_text())


class Usage(Base, table=True):
    """Work done for a tenant on one day (UTC) by jobs of one kind; outlives the jobs."""

    __tablename__ = "usage"
    tenant: str = Field(sa_column=_text(primary_key=True))
    day: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    kind: str = Field(sa_column=_text(primary_key=True))
    jobs: int = Field(sa_column=_big())
    attempts: int = Field(sa_column=_big())
    busy_us: int = Field(sa_column=_big())


class Retention(Base, table=True):
    """Retention rule of a tenant, as JSON."""

    __tablename__ = "retention"
    tenant: str = Field(sa_column=_text(primary_key=True))
    rule: str = Field(sa_column=_text())
    updated_us: int = Field(sa_column=_big())


class EndedSession(Base, table=True):
    """Browser session that was ended before it expired."""

    __tablename__ = "ended_session"
    id: str = Field(sa_column=_text(primary_key=True))
    expires_us: int = Field(sa_column=_big())


class Counter(Base, table=True):
    """Persistent counter."""

    __tablename__ = "counter"
    name: str = Field(sa_column=_text(primary_key=True))
    value: int = Field(sa_column=_big())


def table(model: type[Base]) -> Table:
    """Return the Core table of a model."""
    core: Table = model.__table__  # type: ignore[attr-defined]
    return core

"""The tables, once for both databases. They stay inside the store: `table=True` models do not validate (checked
2026-11), so nothing from outside is ever put into one without having been a pydantic model first.

A job's row is small, because every heartbeat rewrites it; its large documents (spec, result) lie in `job_document`.
Times are microseconds since 1970 in BIGINT. JSON is text written by orjson: both databases store it alike.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Text
from sqlmodel import Field, SQLModel

# One naming convention, so that Alembic can name what it drops on either database.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class JobRow(SQLModel, table=True):
    """A job, without its large documents."""

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_claim", "state", "priority", "id"),
        Index("ix_job_tenant_id", "tenant", "id"),
        Index("ix_job_tenant_state", "tenant", "state"),
    )
    id: str = Field(primary_key=True)
    tenant: str
    kind: str
    budget: str = Field(sa_column=Column(Text, nullable=False))
    seed: int = Field(sa_column=Column(BigInteger, nullable=False))
    priority: int
    labels: str = Field(sa_column=Column(Text, nullable=False))
    max_attempts: int
    webhook: str | None = Field(sa_column=Column(Text))
    state: str
    attempt: int
    fence: int = Field(sa_column=Column(BigInteger, nullable=False))
    owner: str | None
    lease_until_us: int | None = Field(sa_column=Column(BigInteger))
    heartbeat_us: int | None = Field(sa_column=Column(BigInteger))
    run_at_us: int = Field(sa_column=Column(BigInteger, nullable=False))
    stop_requested: bool
    cancel_requested: bool
    phase: str | None
    best: str | None = Field(sa_column=Column(Text))
    termination: str | None = Field(sa_column=Column(Text))
    created_us: int = Field(sa_column=Column(BigInteger, nullable=False))
    started_us: int | None = Field(sa_column=Column(BigInteger))
    finished_us: int | None = Field(sa_column=Column(BigInteger))
    last_seq: int


class JobDocumentRow(SQLModel, table=True):
    """`spec` and `result` of a job."""

    __tablename__ = "job_document"
    job_id: str = Field(primary_key=True, foreign_key="job.id", ondelete="CASCADE")
    name: str = Field(primary_key=True)
    body: str = Field(sa_column=Column(Text, nullable=False))


class JobLabelRow(SQLModel, table=True):
    """Labels again, to be found by."""

    __tablename__ = "job_label"
    __table_args__ = (Index("ix_job_label_find", "key", "value", "job_id"),)
    job_id: str = Field(primary_key=True, foreign_key="job.id", ondelete="CASCADE")
    key: str = Field(primary_key=True)
    value: str


class EventRow(SQLModel, table=True):
    """A job's history; seq counts from 1 without holes."""

    __tablename__ = "event"
    job_id: str = Field(primary_key=True, foreign_key="job.id", ondelete="CASCADE")
    seq: int = Field(primary_key=True)
    type: str
    at_us: int = Field(sa_column=Column(BigInteger, nullable=False))
    data: str = Field(sa_column=Column(Text, nullable=False))


class AttemptRow(SQLModel, table=True):
    """One run of a job by one worker."""

    __tablename__ = "attempt"
    job_id: str = Field(primary_key=True, foreign_key="job.id", ondelete="CASCADE")
    fence: int = Field(sa_column=Column(BigInteger, primary_key=True))
    number: int
    worker: str
    started_us: int = Field(sa_column=Column(BigInteger, nullable=False))
    ended_us: int | None = Field(sa_column=Column(BigInteger))
    outcome: str | None


class JobArtifactRow(SQLModel, table=True):
    """Which files a job refers to: they live as long as it."""

    __tablename__ = "job_artifact"
    job_id: str = Field(primary_key=True, foreign_key="job.id", ondelete="CASCADE")
    digest: str = Field(primary_key=True, index=True)
    tenant: str


class IdempotencyRow(SQLModel, table=True):
    """A client's key, the digest of its body and the jobs it made."""

    __tablename__ = "idempotency"
    tenant: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_digest: str
    job_ids: str = Field(sa_column=Column(Text, nullable=False))
    expires_us: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))


class OutboxRow(SQLModel, table=True):
    """A webhook delivery that is due."""

    __tablename__ = "outbox"
    id: int | None = Field(default=None, primary_key=True)
    tenant: str
    job_id: str
    url: str = Field(sa_column=Column(Text, nullable=False))
    payload: str = Field(sa_column=Column(Text, nullable=False))
    tries: int
    next_try_us: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))


class ArtifactRow(SQLModel, table=True):
    """A stored file and whose it is."""

    __tablename__ = "artifact"
    tenant: str = Field(primary_key=True)
    digest: str = Field(primary_key=True, index=True)
    name: str
    media_type: str
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_us: int = Field(sa_column=Column(BigInteger, nullable=False))


class ApiKeyRow(SQLModel, table=True):
    """An API key; the secret itself is nowhere."""

    __tablename__ = "api_key"
    id: str = Field(primary_key=True)
    tenant: str
    name: str
    secret_sha256: str
    scopes: str
    created_us: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires_us: int | None = Field(sa_column=Column(BigInteger))
    revoked: bool
    limits: str = Field(sa_column=Column(Text, nullable=False))


class CounterRow(SQLModel, table=True):
    """Counts that outlive the process, such as refused stale writes."""

    __tablename__ = "counter"
    name: str = Field(primary_key=True)
    value: int = Field(sa_column=Column(BigInteger, nullable=False))

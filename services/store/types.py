"""The store's port: what gateway and dispatcher may ask of it. Three implementations, one contract test class.

Memory (tests and the reference), SQLite (default), PostgreSQL. All methods are coroutines; every write is one
transaction, durable when the coroutine returns. Time is the database's clock, in integer microseconds since 1970
(UTC): one clock decides leases, whatever the hosts think.

Errors are those of `services.errors`: NotFound, Conflict (illegal move, idempotency key reuse), StaleFence,
StoreUnavailable (→ 503 with Retry-After).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from trimtab.results import EventType, JobState

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A validated submission."""

    tenant: str
    kind: str
    spec: Json
    budget: Json
    seed: int
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    max_attempts: int = 3
    webhook: Json | None = None
    artifacts: Sequence[
        str
    ] = ()  # digests the spec refers to: kept alive while the job exists


@dataclass(frozen=True, kw_only=True)
class Idempotency:
    """A client's key and the digest of the body it came with. Scoped by tenant, kept `ttl_s`."""

    key: str
    request_digest: str
    ttl_s: float = 7 * 86_400


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job as stored. Times are microseconds since 1970; None where it has not happened."""

    id: str
    tenant: str
    kind: str
    spec: Json  # listings leave it out ({})
    budget: Json
    seed: int
    priority: int
    labels: Mapping[str, str]
    max_attempts: int
    webhook: Json | None
    state: JobState
    attempt: int  # attempts begun since submit or re-drive
    fence: int  # grows by one at every claim, never resets
    owner: str | None  # the dispatcher that holds the lease
    lease_until_us: int | None
    heartbeat_us: int | None
    run_at_us: int  # not to be claimed before (retry back-off)
    stop_requested: bool
    cancel_requested: bool
    phase: str | None
    best: Json | None  # newest Incumbent
    termination: Json | None
    result: Json | None  # RunResult; listings leave it out (None)
    created_us: int
    started_us: int | None
    finished_us: int | None
    last_seq: int  # seq of the newest event
    has_checkpoint: bool = (
        False  # the best solution of an earlier or the running attempt is stored
    )


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """Answer to a submit."""

    job: JobRecord
    replayed: bool  # True when the idempotency key had been used with the same body: nothing new was stored


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A lease on one job. Every later write by its holder carries `fence`."""

    job: JobRecord
    fence: int
    lease_until_us: int


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """An event to append. The store gives it the next seq and the database's time."""

    type: EventType
    data: Json


@dataclass(frozen=True, kw_only=True)
class EventRecord:
    """A stored event."""

    job_id: str
    seq: int
    type: EventType
    at_us: int
    data: Json


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What the lease's holder learns at each heartbeat."""

    stop_requested: bool
    cancel_requested: bool
    lease_until_us: int


@dataclass(frozen=True, kw_only=True)
class Completion:
    """The end of an attempt, written in one transaction with state, event and outbox row."""

    verb: str  # lifecycle.Verb: succeed, fail, confirm_cancel or lose
    termination: Json
    outcome: str  # for the attempt row: "result", "failed", "cancelled", "lost", "transient", "handed_back" (is not counted)
    result: Json | None = None
    best: Json | None = None
    artifacts: Sequence[str] = ()  # digests of produced files
    checkpoint: bytes | None = (
        None  # with `lose`: the best solution so far, for the next attempt
    )
    retry_delay_s: float = 0.0  # with `lose`: back-off before the next attempt


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """One run of a job."""

    job_id: str
    number: int
    fence: int
    worker: str
    started_us: int
    ended_us: int | None
    outcome: str | None


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """What to list. Newest first."""

    tenant: str | None = None  # None: all tenants (admins)
    states: Sequence[JobState] = ()
    kinds: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    created_after_us: int | None = None
    created_before_us: int | None = None


@dataclass(frozen=True, kw_only=True)
class ArtifactRecord:
    """A stored file. Bytes live in the blob folder under their digest; this row says whose they are."""

    digest: str
    tenant: str
    name: str
    media_type: str
    size_bytes: int
    created_us: int


@dataclass(frozen=True, kw_only=True)
class ApiKeyRecord:
    """An API key; only the SHA-256 of its secret is stored."""

    id: str
    tenant: str
    name: str
    secret_sha256: str
    scopes: Sequence[str]  # viewer, submitter, operator, admin
    created_us: int
    expires_us: int | None
    revoked: bool
    limits: Json  # {"submits_per_minute": ..., "queued_jobs": ..., "artifact_bytes": ...}; {} = server defaults


@dataclass(frozen=True, kw_only=True)
class OutboxRecord:
    """A webhook delivery that is due: at-least-once, signed, with back-off."""

    id: int
    tenant: str
    job_id: str
    url: str
    payload: Json
    tries: int
    next_try_us: int


@dataclass(frozen=True, kw_only=True)
class DeliveryRecord:
    """What became of a job's webhook so far, for its owner."""

    job_id: str
    state: str  # "waiting", "delivered", "given up"
    tries: int
    detail: str
    at_us: int


class JobStore(Protocol):
    """Jobs, attempts, events, idempotency, outbox, artifacts' rows and API keys."""

    dialect: str  # "memory", "sqlite", "postgresql"

    async def open(self) -> None:
        """Connect and migrate to the newest schema (under a lock)."""
        ...

    async def close(self) -> None:
        """Finish queued writes and disconnect."""
        ...

    async def probe_write(self) -> None:
        """Write something small. Raises ServiceError when the database or its disk takes no writes now."""
        ...

    async def ping(self) -> None:
        """Raises StoreUnavailable when the database does not answer."""
        ...

    async def now_us(self) -> int:
        """The database's clock."""
        ...

    # -- owners ---------------------------------------------------------------------------------------------------
    async def submit(
        self, job: NewJob, idempotency: Idempotency | None = None
    ) -> Submitted:
        """Store a job as QUEUED with its first event. Same key and body → the first job again; other body → Conflict."""
        ...

    async def submit_many(
        self, jobs: Sequence[NewJob], idempotency: Idempotency | None = None
    ) -> list[Submitted]:
        """All or none, in one transaction, in order."""
        ...

    async def get(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """With its result. Raises NotFound, also when it is another tenant's."""
        ...

    async def list_jobs(
        self, where: JobFilter, *, limit: int, before_id: str | None = None
    ) -> list[JobRecord]:
        """Newest first, without specs ({}) and results (None), which may be megabytes.

        Ids are time-ordered, so `before_id` is the cursor.
        """
        ...

    async def request_cancel(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """QUEUED → CANCELLED at once; RUNNING → flag. A terminal job: Conflict, unless already CANCELLED (unchanged)."""
        ...

    async def request_stop(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """RUNNING → flag; QUEUED → CANCELLED (there is no best to keep). Idempotent on a SUCCEEDED job."""
        ...

    async def redrive(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """FAILED, CANCELLED or DEAD → QUEUED with attempts reset; the fence goes on growing."""
        ...

    async def delete(self, job_id: str, *, tenant: str | None = None) -> None:
        """Remove a terminal job with its events and attempts. Conflict while QUEUED or RUNNING."""
        ...

    async def events(
        self, job_id: str, *, after_seq: int = 0, limit: int = 1000
    ) -> list[EventRecord]:
        """Events with seq > after_seq, ascending."""
        ...

    async def attempts(self, job_id: str) -> list[AttemptRecord]:
        """All attempts, oldest first."""
        ...

    async def counts(self, tenant: str | None = None) -> dict[JobState, int]:
        """Jobs by state."""
        ...

    async def oldest_queued_us(self) -> int | None:
        """When the job was made that has been QUEUED longest by that; None when none is."""
        ...

    # -- lease holders --------------------------------------------------------------------------------------------
    async def claim(
        self, owner: str, *, kinds: Sequence[str], lease_s: float, limit: int = 1
    ) -> list[Claim]:
        """Lease due QUEUED jobs: highest priority, then oldest. fence += 1, attempt += 1, an attempt row, a state event."""
        ...

    async def renew(self, job_id: str, fence: int, *, lease_s: float) -> Signals:
        """Heartbeat. Raises StaleFence when the lease is no longer this one's (even before it was re-claimed)."""
        ...

    async def append(self, job_id: str, fence: int, events: Sequence[NewEvent]) -> int:
        """Append events, update `phase` and `best`; returns the last seq. Raises StaleFence."""
        ...

    async def put_checkpoint(self, job_id: str, fence: int, data: bytes) -> None:
        """Replace the job's best solution so far. Raises StaleFence."""
        ...

    async def get_checkpoint(self, job_id: str) -> bytes | None:
        """Read the best solution that earlier attempts stored; None when there is none. It goes when the job ends."""
        ...

    async def complete(self, job_id: str, fence: int, completion: Completion) -> JobRecord:
        """Result, state, attempt, event and outbox row in ONE transaction. Raises StaleFence, and then nothing changed."""
        ...

    async def sweep(self, *, limit: int = 100) -> list[JobRecord]:
        """Take back leases that ran out (Verb.LOSE, no delay); returns the jobs moved. Purges expired idempotency keys."""
        ...

    async def stale_writes(self) -> int:
        """How many writes with an old fence this store has refused since it was created (persisted)."""
        ...

    # -- outbox ---------------------------------------------------------------------------------------------------
    async def outbox_due(
        self, *, limit: int = 20, lock_s: float = 60.0
    ) -> list[OutboxRecord]:
        """Take due deliveries and push their next try `lock_s` ahead, so that no other dispatcher takes them too."""
        ...

    async def outbox_done(
        self, outbox_id: int, *, delivered: bool = True, detail: str = ""
    ) -> None:
        """Delivered, or given up: remove, and record which for the job's owner."""
        ...

    async def outbox_retry(
        self, outbox_id: int, *, delay_s: float, detail: str = ""
    ) -> None:
        """Failed: tries += 1, again after `delay_s`; `detail` is recorded for the job's owner."""
        ...

    async def delivery(self, job_id: str) -> DeliveryRecord | None:
        """What became of a job's webhook; None when nothing was tried yet."""
        ...

    # -- sessions -------------------------------------------------------------------------------------------------
    async def end_session(self, session_id: str, *, expires_us: int) -> None:
        """Sign a browser out, everywhere and for good. Forgets ended sessions whose own time has run out."""
        ...

    async def session_ended(self, session_id: str) -> bool:
        """True after `end_session`."""
        ...

    # -- artifacts and keys ---------------------------------------------------------------------------------------
    async def put_artifact(self, artifact: ArtifactRecord) -> ArtifactRecord:
        """Record a stored file; the same digest of the same tenant again changes nothing."""
        ...

    async def get_artifact(
        self, digest: str, *, tenant: str | None = None
    ) -> ArtifactRecord:
        """Raises NotFound, also when only another tenant has it."""
        ...

    async def artifact_bytes(self, tenant: str) -> int:
        """Sum of sizes, for quotas."""
        ...

    async def unreferenced_artifacts(
        self, *, older_than_us: int, limit: int = 100
    ) -> list[ArtifactRecord]:
        """Rows no job refers to, for garbage collection."""
        ...

    async def delete_artifact(self, digest: str, *, tenant: str) -> bool:
        """Remove the row; True when no tenant has the digest any more, so that the bytes may go."""
        ...

    async def put_key(self, key: ApiKeyRecord) -> None:
        """Store a new key."""
        ...

    async def get_key(self, key_id: str) -> ApiKeyRecord | None:
        """Look a key up by its public id."""
        ...

    async def list_keys(self, tenant: str | None = None) -> list[ApiKeyRecord]:
        """All keys, revoked too."""
        ...

    async def revoke_key(self, key_id: str) -> None:
        """Raises NotFound."""
        ...

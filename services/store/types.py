"""The `JobStore` interface of gateway and dispatcher, and its records.

Implementations: SQLite (default), PostgreSQL, and an in-memory double for tests; one contract
test class covers all. Methods are coroutines; a write is one transaction, durable when the
coroutine returns. Time is the clock of the database, in integer microseconds since 1970 (UTC),
so that one clock decides leases whatever the clocks of the hosts show.

Errors (`services.errors`): NotFound, Conflict (illegal transition, reused idempotency key),
StaleFence, StoreUnavailable (503 with Retry-After).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from trimtab.results import EventType, JobSort, JobState
from trimtab.specs.common import JobChanges

Json = Mapping[str, Any]
RESTING_TTL_S = 7 * 86_400.0


@dataclass(frozen=True, kw_only=True)
class After:
    """A job to wait for. `job` is an id, or an earlier job of the same submit by its index."""

    job: str | int
    needs_success: bool = True  # False: any end will do


@dataclass(frozen=True, kw_only=True)
class OutputInput:
    """A file of the spec that another job is to produce. It implies `After(job=...)`."""

    path: Sequence[str | int]  # of the reference within the spec
    job: str | int  # as `After.job`
    output: str  # displayed name of the file


@dataclass(frozen=True, kw_only=True)
class Edge:
    """`child` waits for `parent`."""

    parent: str
    child: str
    needs_success: bool


@dataclass(frozen=True, kw_only=True)
class PendingInput:
    """An `OutputInput` as stored: its job by id, and its digest once it is known."""

    child: str
    path: Sequence[str | int]
    parent: str
    output: str
    digest: str | None = None


@dataclass(frozen=True, kw_only=True)
class Relatives:
    """Jobs that a job waits for, and jobs that wait for it, with their states."""

    parents: Mapping[str, tuple[bool, JobState]]  # id → (needs success, state)
    children: Mapping[str, tuple[bool, JobState]]


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A validated job to store."""

    tenant: str
    kind: str
    spec: Json
    budget: Json
    seed: int
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    max_attempts: int = 3
    webhook: Json | None = None
    artifacts: Sequence[str] = ()  # digests in the spec; the job keeps these files
    after: Sequence[After] = ()
    inputs: Sequence[OutputInput] = ()
    graph: str | None = None  # set by the store: the plan that waits for this job
    model: str = "auto"  # ModelPins.wanted
    name: str = ""

    @property
    def parents(self) -> list[str | int]:
        """Jobs that this one names, by id or by index."""
        return [
            *(after.job for after in self.after),
            *(file.job for file in self.inputs),
        ]


@dataclass(frozen=True, kw_only=True)
class Idempotency:
    """A client's key with the digest of its body. Scoped by tenant, kept for `ttl_s`."""

    key: str
    request_digest: str
    ttl_s: float = 7 * 86_400


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A stored job. Times are microseconds since 1970; None if not yet known."""

    id: str
    tenant: str
    kind: str
    spec: Json  # {} in listings
    budget: Json
    seed: int
    priority: int
    labels: Mapping[str, str]
    max_attempts: int
    webhook: Json | None
    state: JobState
    attempt: int  # attempts started since submit or re-drive
    fence: int  # incremented by every claim, never reset
    owner: str | None  # dispatcher that holds the lease
    lease_until_us: int | None
    heartbeat_us: int | None
    run_at_us: int  # earliest claim (retry back-off)
    stop_requested: bool
    cancel_requested: bool
    phase: str | None
    best: Json | None  # newest Incumbent
    termination: Json | None
    result: Json | None  # RunResult; None in listings
    created_us: int
    started_us: int | None
    finished_us: int | None
    last_seq: int  # seq of the newest event
    has_checkpoint: bool = False  # a best solution of some attempt is stored
    waits: int = 0  # parents that have not ended
    has_memo: bool = False  # it was at rest
    # The plan that it belongs to; its own id for a plan whose jobs were started.
    graph: str | None = None
    name: str = ""  # chosen by the owner, who may change it


@dataclass(frozen=True, kw_only=True)
class Memo:
    """What a job at rest keeps for its next run, and shows its owner."""

    body: Json
    digest: str  # of the part that its owner approves


@dataclass(frozen=True, kw_only=True)
class MemoRecord:
    """A memo as stored."""

    revision: int  # from 1
    body: Json
    digest: str
    approved: str | None = None  # digest that was approved; None before


@dataclass(frozen=True, kw_only=True)
class Approval:
    """The owner's approval of a memo."""

    digest: str  # of the memo that was seen
    children: Sequence[NewJob] = ()  # as Completion.children


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """Result of a submit."""

    job: JobRecord
    replayed: (
        bool  # the idempotency key was used before with this body: nothing was stored
    )


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A lease on one job. Every write of its holder carries `fence`."""

    job: JobRecord
    fence: int
    lease_until_us: int
    # When this process received it, on its monotonic clock.
    claimed_s: float = field(default_factory=time.monotonic, compare=False)


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """An event to append. The store assigns the next seq and the database's time."""

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
    """Requests of the owner, returned to the lease holder at each heartbeat."""

    stop_requested: bool
    cancel_requested: bool
    lease_until_us: int


class ModelState(StrEnum):
    """State of a fitted model."""

    ADOPTED = "adopted"
    """Its card shows an improvement: jobs may use it."""
    REJECTED = "rejected"
    """Its card shows none: no job uses it."""
    RETIRED = "retired"
    """Its owner withdrew it: no new job uses it."""


@dataclass(frozen=True, kw_only=True)
class NewModel:
    """A fitted model to register with the end of the job that made it."""

    id: str
    target: str  # kind of job that it is for
    digest: str  # of its file, which is among the job's artifacts
    size_bytes: int
    picture: str | None  # digest of its card's picture
    state: ModelState  # adopted or rejected
    card: Json


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """A registered model."""

    id: str
    tenant: str
    target: str
    job_id: str  # the job may be deleted by now
    created_us: int
    size_bytes: int
    digest: str
    picture: str | None
    state: ModelState
    card: Json


@dataclass(frozen=True, kw_only=True)
class ModelPins:
    """Choice of a job among fitted models."""

    wanted: str = "auto"  # or shipped, or the id of a model
    models: tuple[str, ...] | None = None  # newest first; None before its first attempt


@dataclass(frozen=True, kw_only=True)
class ModelFilter:
    """Filter of a listing of models, newest first."""

    tenant: str | None = None  # None: all tenants (admins)
    target: str | None = None
    states: Sequence[ModelState] = ()


@dataclass(frozen=True, kw_only=True)
class Completion:
    """The end of an attempt; state, event and outbox row are written in the same transaction."""

    verb: str  # lifecycle.Verb: succeed, fail, confirm_cancel, lose, hold or suspend
    termination: Json
    # Of the attempt: "result", "failed", "cancelled", "lost", "transient", "rested", or
    # "handed_back", which does not count as an attempt.
    outcome: str
    result: Json | None = None
    best: Json | None = None
    artifacts: Sequence[str] = ()  # digests of produced files
    # With `lose`: best solution so far, for the next attempt.
    checkpoint: bytes | None = None
    model: NewModel | None = None  # with `succeed`
    retry_delay_s: float = 0.0  # with `lose`: back-off before the next attempt
    memo: Memo | None = None  # with `hold` and `suspend`
    asks: bool = False  # with `hold`: a question is open; else an approval is
    # With `suspend`: jobs to start, which may name earlier ones of their own and those of earlier
    # suspends. The job is claimed again when they have ended.
    children: Sequence[NewJob] = ()


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """One attempt to run a job."""

    job_id: str
    number: int
    fence: int
    worker: str
    started_us: int
    ended_us: int | None
    outcome: str | None


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Filter of a listing."""

    tenant: str | None = None  # None: all tenants (admins)
    states: Sequence[JobState] = ()
    kinds: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    created_after_us: int | None = None
    created_before_us: int | None = None
    graph: str | None = None  # a plan: itself, once it has jobs, and these
    model: str | None = None  # fitted model that the request names, or auto, or shipped
    # Text that name, id, labels or failure contain, as `searching.fold` gives it; all of them.
    words: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class JobOrder:
    """Order of a listing. Jobs without a value come last; ties are ordered by id."""

    sort: JobSort = JobSort.CREATED
    descending: bool = True


NEWEST_FIRST = JobOrder()


@dataclass(frozen=True, kw_only=True)
class Position:
    """The last job of a page: its id and its value of the order's column."""

    id: str
    value: str | int | float | None = None


@dataclass(frozen=True, kw_only=True)
class SavedView:
    """A filter and order of the job list under a name, for everyone in a tenant."""

    tenant: str
    name: str
    query: str  # as the list's URL has it, without the question mark
    created_us: int


@dataclass(frozen=True, kw_only=True)
class ArtifactRecord:
    """Ownership of a stored file, whose bytes are in the blob folder under their digest."""

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
    # {"submits_per_minute": ..., "queued_jobs": ..., "artifact_bytes": ...}; {}: server defaults
    limits: Json
    last_used_us: int | None = None  # to the minute
    old_sha256: str | None = None  # the secret before the newest rotation
    old_until_us: int | None = None  # end of its overlap


@dataclass(frozen=True, kw_only=True)
class OutboxRecord:
    """A webhook delivery to send."""

    id: int
    tenant: str
    job_id: str
    url: str
    payload: Json
    tries: int
    next_try_us: int


@dataclass(frozen=True, kw_only=True)
class DeliveryRecord:
    """Delivery state of a job's webhook, for its owner."""

    job_id: str
    state: str  # "waiting", "delivered", "given up"
    tries: int
    detail: str
    at_us: int
    status_code: int | None = None  # of the receiver's answer to the newest try
    next_try_us: int | None = None  # while it waits


class JobStore(Protocol):
    """Jobs, attempts, events, idempotency keys, outbox, rows of files, API keys, sessions."""

    dialect: str  # "memory", "sqlite", "postgresql"

    async def open(self) -> None:
        """Connect and migrate to the newest schema (under a lock)."""
        ...

    async def close(self) -> None:
        """Finish queued writes and disconnect."""
        ...

    async def probe_write(self) -> None:
        """Write something small. Raises ServiceError if database or disk accept no writes."""
        ...

    async def ping(self) -> None:
        """Check the connection. Raises StoreUnavailable if the database does not answer."""
        ...

    async def now_us(self) -> int:
        """Return the time of the database."""
        ...

    # -- owners --
    async def submit(
        self, job: NewJob, idempotency: Idempotency | None = None
    ) -> Submitted:
        """Store a job as QUEUED, or as WAITING while its parents run, with its first event.

        Raises NotFound for a parent that this tenant does not have, and Conflict for one that has
        ended without success or without the file that the job reads. A key that was used before
        returns the first job again, or Conflict with another body.
        """
        ...

    async def submit_many(
        self, jobs: Sequence[NewJob], idempotency: Idempotency | None = None
    ) -> list[Submitted]:
        """Store several jobs in one transaction, in order."""
        ...

    async def get(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """Return a job with its result. Raises NotFound, also for another tenant's job."""
        ...

    async def list_jobs(
        self,
        where: JobFilter,
        *,
        limit: int,
        order: JobOrder = NEWEST_FIRST,
        after: Position | None = None,
    ) -> list[JobRecord]:
        """List jobs without specs and results, which may be megabytes.

        `after` is the last job of the page before.
        """
        ...

    async def rename(
        self, job_id: str, changed: JobChanges, *, tenant: str | None = None
    ) -> JobRecord:
        """Replace name or labels, which the run does not read. Raises NotFound."""
        ...

    # -- saved views --
    async def put_view(self, view: SavedView, *, most: int) -> None:
        """Store or replace a view. Raises Conflict beyond `most` views of the tenant."""
        ...

    async def list_views(self, tenant: str) -> list[SavedView]:
        """Return the views of a tenant, ordered by name."""
        ...

    async def delete_view(self, tenant: str, name: str) -> None:
        """Delete a view. Raises NotFound."""
        ...

    async def request_cancel(
        self, job_id: str, *, tenant: str | None = None
    ) -> JobRecord:
        """Cancel a QUEUED job at once; flag a RUNNING one. CANCELLED stays; else Conflict.

        The jobs of a plan are cancelled with it.
        """
        ...

    async def request_stop(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """Flag a RUNNING job; cancel a QUEUED one, which has no solution. SUCCEEDED stays.

        A plan whose jobs were started is flagged, and its jobs are stopped.
        """
        ...

    async def memo(self, job_id: str, *, tenant: str | None = None) -> MemoRecord | None:
        """Return the memo of a job; None before its first rest. Raises NotFound."""
        ...

    async def put_memo(
        self, job_id: str, memo: Memo, *, revision: int, tenant: str | None = None
    ) -> MemoRecord:
        """Replace `revision` of the memo of a job at rest. Raises NotFound and Conflict."""
        ...

    async def answer(
        self, job_id: str, memo: Memo, *, revision: int, tenant: str | None = None
    ) -> JobRecord:
        """Queue a job that NEEDS_INPUT, with answers in `memo`. Raises NotFound and Conflict."""
        ...

    async def approve(
        self,
        job_id: str,
        approval: Approval,
        *,
        revision: int,
        tenant: str | None = None,
    ) -> JobRecord:
        """Start the jobs of a plan that is AWAITING_APPROVAL, and let it wait for them.

        One transaction. Repeating it with the same digest changes nothing. Raises NotFound, and
        Conflict for another state, revision or digest.
        """
        ...

    async def redrive(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """Queue a FAILED, CANCELLED or DEAD job again with attempts reset; the fence stays.

        Jobs that were SKIPPED because of it wait again. Conflict while a parent that it needs has
        itself ended without success.
        """
        ...

    async def delete(self, job_id: str, *, tenant: str | None = None) -> None:
        """Delete a terminal job with its events and attempts.

        Conflict while it is active, or while a job that waits for it is.
        """
        ...

    async def events(
        self, job_id: str, *, after_seq: int = 0, limit: int = 1000
    ) -> list[EventRecord]:
        """Return events with seq > after_seq, ascending."""
        ...

    async def newest_events(
        self, job_id: str, of: EventType, *, limit: int = 200
    ) -> list[EventRecord]:
        """Return the newest events of a type, ascending."""
        ...

    async def attempts(self, job_id: str) -> list[AttemptRecord]:
        """Return all attempts, oldest first."""
        ...

    async def relatives(self, job_id: str) -> Relatives:
        """Return the jobs that a job waits for, and those that wait for it, in order of ids."""
        ...

    async def counts(self, tenant: str | None = None) -> dict[JobState, int]:
        """Return the number of jobs by state."""
        ...

    async def oldest_queued_us(self) -> int | None:
        """Return the creation time of the oldest QUEUED job; None without one."""
        ...

    # -- lease holders --
    async def claim(
        self, owner: str, *, kinds: Sequence[str], lease_s: float, limit: int = 1
    ) -> list[Claim]:
        """Lease due QUEUED jobs, highest priority first, then oldest.

        Increments fence and attempt, and adds an attempt row and a state event.
        """
        ...

    async def renew(self, job_id: str, fence: int, *, lease_s: float) -> Signals:
        """Renew a lease. Raises StaleFence if it has expired, even if it was not re-claimed."""
        ...

    async def append(self, job_id: str, fence: int, events: Sequence[NewEvent]) -> int:
        """Append events, update `phase` and `best`; returns the last seq. Raises StaleFence."""
        ...

    async def put_checkpoint(self, job_id: str, fence: int, data: bytes) -> None:
        """Replace the job's checkpoint. Raises StaleFence."""
        ...

    async def get_checkpoint(self, job_id: str) -> bytes | None:
        """Return the best solution of earlier attempts; None without one. Ends with the job."""
        ...

    async def complete(
        self, job_id: str, fence: int, completion: Completion
    ) -> JobRecord:
        """Record the end of an attempt. Raises StaleFence, and then nothing is changed."""
        ...

    async def sweep(
        self, *, limit: int = 100, resting_ttl_s: float = RESTING_TTL_S
    ) -> list[JobRecord]:
        """Take back expired leases, cancel jobs that rested for too long; returns the jobs.

        Purges expired idempotency keys too.
        """
        ...

    async def stale_writes(self) -> int:
        """Return how many writes with an old fence were ever refused."""
        ...

    # -- outbox --
    async def outbox_due(
        self, *, limit: int = 20, lock_s: float = 60.0
    ) -> list[OutboxRecord]:
        """Take due deliveries and postpone their next try by `lock_s`, against a second sender."""
        ...

    async def outbox_done(
        self,
        outbox_id: int,
        *,
        delivered: bool = True,
        detail: str = "",
        status_code: int | None = None,
    ) -> None:
        """Remove a delivery that was sent or given up, and record which for the job's owner."""
        ...

    async def outbox_retry(
        self,
        outbox_id: int,
        *,
        delay_s: float,
        detail: str = "",
        status_code: int | None = None,
    ) -> None:
        """Retry a failed delivery after `delay_s`; `detail` is recorded for the job's owner."""
        ...

    async def delivery(self, job_id: str) -> DeliveryRecord | None:
        """Return the delivery state of a job's webhook; None before it has ended."""
        ...

    # -- sessions --
    async def end_session(self, session_id: str, *, expires_us: int) -> None:
        """End a browser session; also forgets ended sessions that have expired by now."""
        ...

    async def session_ended(self, session_id: str) -> bool:
        """Return True after `end_session`."""
        ...

    # -- artifacts and keys --
    async def put_artifact(self, artifact: ArtifactRecord) -> ArtifactRecord:
        """Record a stored file; returns the first record of this tenant and digest."""
        ...

    async def get_artifact(
        self, digest: str, *, tenant: str | None = None
    ) -> ArtifactRecord:
        """Return a stored file. Raises NotFound, also if only another tenant has it."""
        ...

    async def artifact_bytes(self, tenant: str) -> int:
        """Return the total size of a tenant's files, for quotas."""
        ...

    async def unreferenced_artifacts(
        self, *, older_than_us: int, limit: int = 100
    ) -> list[ArtifactRecord]:
        """Return files that no job refers to, for garbage collection."""
        ...

    async def delete_artifact(self, digest: str, *, tenant: str) -> bool:
        """Delete the row; True if no tenant has the digest any more and the bytes may go."""
        ...

    # -- models --
    async def list_models(
        self, where: ModelFilter, *, limit: int, before_id: str | None = None
    ) -> list[ModelRecord]:
        """List models, newest first; ids are ordered by time, so `before_id` is the cursor."""
        ...

    async def get_model(self, model_id: str, *, tenant: str | None = None) -> ModelRecord:
        """Return a model. Raises NotFound, also for another tenant's."""
        ...

    async def retire_model(
        self, model_id: str, *, tenant: str | None = None
    ) -> ModelRecord:
        """Withdraw an adopted model; a retired one stays so. Raises NotFound and Conflict."""
        ...

    async def pin_models(
        self, job_id: str, fence: int, model_ids: Sequence[str]
    ) -> ModelPins:
        """Record the models that a job may use; the first record of a job counts.

        Returns that record. Raises StaleFence.
        """
        ...

    async def model_pins(self, job_id: str) -> ModelPins:
        """Return a job's choice, and the models that it may use once an attempt has begun."""
        ...

    async def put_key(self, key: ApiKeyRecord) -> None:
        """Store a new key."""
        ...

    async def get_key(self, key_id: str) -> ApiKeyRecord | None:
        """Return a key by its public id."""
        ...

    async def list_keys(self, tenant: str | None = None) -> list[ApiKeyRecord]:
        """Return all keys, revoked ones included."""
        ...

    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key. Raises NotFound."""
        ...

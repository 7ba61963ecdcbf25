"""Models of the wire for housekeeping: retention, usage, deliveries, audit log."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, ConfigDict, Field, field_validator

from trimtab.results import ENDED, JobState
from trimtab.specs.common import WireModel

_READ = ConfigDict(extra="ignore", strict=False)

# No rule removes what ended, or was uploaded, within this time.
GRACE_S = 3600.0

Days = Annotated[float, Field(ge=GRACE_S / 86_400, le=36_500)]
Count = Annotated[int, Field(ge=0, le=2**53)]
_WORDS = ", ".join(sorted(state.value for state in ENDED))


class RetentionRule(WireModel):
    """What is removed by itself. A limit that is not set removes nothing.

    A job that has not ended, one that another job waits for, and a file that such a job or a fitted
    model uses are never removed, nor is anything of the last hour.
    """

    job_days: Days | None = None
    """Remove jobs that ended more than this many days ago."""
    job_count: Count | None = None
    """Keep at most this many ended jobs, the newest ones."""
    job_states: Annotated[list[JobState], Field(max_length=10)] | None = None
    """Ended states that `job_days` and `job_count` are about. None: all of them."""
    event_days: Days | None = None
    """Remove events, except changes of state, of jobs that ended more than this many days ago."""
    event_count: Count | None = None
    """Keep the events of the newest ended jobs, up to this many events in all."""
    file_days: Days | None = None
    """Remove files that were uploaded or produced more than this many days ago."""
    file_count: Count | None = None
    """Keep at most this many files, the newest ones."""
    file_bytes: Count | None = None
    """Keep at most this many bytes of files, the newest ones."""

    @field_validator("job_states")
    @classmethod
    def _ended_only(cls, states: list[JobState] | None) -> list[JobState] | None:
        for state in states or ():
            if state not in ENDED:
                raise ValueError(
                    f"expected states of ended jobs ({_WORDS}), got {state.value}: retention "
                    "never removes a job that has not ended; cancel it first"
                )
        return states

    @property
    def is_empty(self) -> bool:
        """True if nothing is ever removed."""
        return not any(
            value is not None
            for name, value in self.model_dump().items()
            if name != "job_states"
        )


class RetentionView(WireModel):
    """The rules that hold for a tenant. Each is applied by itself, so the tighter one counts."""

    model_config = _READ
    tenant: str
    """Tenant that the rules hold for."""
    rule: RetentionRule
    """The tenant's own rule."""
    server: RetentionRule
    """The operator's rule, for every tenant."""


class RetentionReport(WireModel):
    """What a run of retention removed, or would remove."""

    model_config = _READ
    tenant: str
    """Tenant whose jobs and files these are."""
    dry_run: bool
    """True if nothing was removed."""
    complete: bool
    """False if the run ended at its time limit; a next one continues."""
    jobs: int
    """Jobs removed."""
    events: int
    """Events removed, with their jobs or without."""
    files: int
    """Files removed."""
    file_bytes: int
    """Bytes of these files."""
    protected_jobs: int
    """Jobs beyond a limit that were kept, because another job waits for them."""
    protected_files: int
    """Files beyond a limit that were kept, because a job or a model uses them."""


class KindUsage(WireModel):
    """Work of one kind of job."""

    model_config = _READ
    jobs: int
    """Jobs that ended."""
    attempts: int
    """Attempts that ended."""
    busy_s: float
    """Seconds that these attempts ran."""


class UsageView(WireModel):
    """What a tenant has stored and has used."""

    model_config = _READ
    tenant: str
    """The tenant."""
    jobs: dict[str, int]
    """Stored jobs by state."""
    events: int
    """Stored events. An upper bound: removed ones of stored jobs count until all are removed."""
    files: int
    """Stored files."""
    file_bytes: int
    """Bytes of these files."""
    kinds: dict[str, KindUsage]
    """Work by kind of job, of deleted jobs too."""


class ArtifactView(WireModel):
    """A stored file with its age."""

    model_config = _READ
    digest: str
    """`sha256:` and 64 hex digits."""
    name: str
    """File name."""
    size_bytes: int
    """Size."""
    media_type: str
    """Media type."""
    created_at: AwareDatetime
    """First upload or production."""
    used_at: AwareDatetime
    """Newest upload or production, from which retention counts the age."""
    in_use: bool
    """True if a job that has not ended, or a fitted model, uses it."""


class ArtifactPage(WireModel):
    """A page of files; repeat with `cursor=next_cursor` until that is null."""

    model_config = _READ
    items: list[ArtifactView]
    """The files, newest first."""
    next_cursor: str | None = None
    """Cursor of the next page. None: this is the last."""


class DeliveryAttempt(WireModel):
    """One try to deliver a webhook."""

    model_config = _READ
    number: int
    """Number of the try, from 1; re-sends go on counting."""
    at: AwareDatetime
    """Time of the try."""
    status_code: int | None
    """Answer of the receiver. None: there was none."""
    detail: str
    """Why it failed; empty if it did not."""


class DeliveryState(StrEnum):
    """State of a webhook whose job has ended."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given up"


class DeliveryView(WireModel):
    """State of the webhook of an ended job."""

    model_config = _READ
    job_id: str
    """The job."""
    url: str
    """Address that is called."""
    state: str
    """`waiting`, `delivered` or `given up`."""
    tries: int
    """Tries since the newest send or re-send."""
    detail: str
    """Why the newest try failed; empty if it did not."""
    at: AwareDatetime | None
    """Time of the newest change."""
    status_code: int | None
    """Answer of the receiver to the newest try. None: there was none."""
    next_try_at: AwareDatetime | None
    """Time of the next try while it is waiting."""
    attempts: list[DeliveryAttempt] = Field(default_factory=list)
    """The newest tries, oldest first; in listings empty."""


class DeliveryPage(WireModel):
    """A page of deliveries; repeat with `cursor=next_cursor` until that is null."""

    model_config = _READ
    items: list[DeliveryView]
    """The deliveries, those of the newest jobs first."""
    next_cursor: str | None = None
    """Cursor of the next page. None: this is the last."""


class AuditEntry(WireModel):
    """Who did what, when and from where."""

    model_config = _READ
    id: int
    """Number of the entry; later ones are greater."""
    at: AwareDatetime
    """Time of the act, by the clock of the database."""
    tenant: str
    """Tenant of the caller's key; empty for the server itself."""
    key_id: str
    """Id of the caller's key; empty for the server itself."""
    action: str
    """The act, for example `job.submit` or `key.revoke`."""
    target: str
    """Id of the job, key, file, model or tenant that it was about."""
    address: str
    """Address that the request came from."""
    agent: str
    """Program that sent it, as it says itself."""
    detail: dict[str, Any]
    """More about the act; never a secret."""


class AuditPage(WireModel):
    """A page of the audit log; repeat with `cursor=next_cursor` until that is null."""

    model_config = _READ
    items: list[AuditEntry]
    """The entries, newest first."""
    next_cursor: str | None = None
    """Cursor of the next page. None: this is the last."""

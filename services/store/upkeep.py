"""Housekeeping of the store: records and the part of the `JobStore` interface that they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.store.types import ApiKeyRecord, ArtifactRecord, DeliveryRecord, JobStore
from trimtab.upkeep import RetentionReport, RetentionRule

Place = tuple[int, str]  # (time in us, id) of a job or file, by which they are ordered
START: Place = (-(2**62), "")


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Caller of the service, as the audit log names it."""

    tenant: str
    key_id: str
    address: str = ""
    agent: str = ""


SERVER = Actor(tenant="", key_id="")

# The caller of the request that this task answers. The SQL stores write an audit entry in the same
# transaction as the act; None (dispatcher, sweeps) writes none.
acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


ACTIONS = frozenset(
    {
        "file.delete",
        "file.store",
        "job.cancel",
        "job.change",
        "job.delete",
        "job.retry",
        "job.stop",
        "job.submit",
        "key.create",
        "key.revoke",
        "key.rotate",
        "model.retire",
        "plan.answer",
        "plan.approve",
        "plan.edit",
        "retention.run",
        "retention.set",
        "server.start",
        "session.begin",
        "session.end",
        "session.refused",
        "view.delete",
        "view.save",
        "webhook.resend",
    }
)
"""Acts that the audit log records: an area, a dot and a verb."""


@dataclass(frozen=True, kw_only=True)
class Deed:
    """An act for the audit log."""

    action: str
    target: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for an act that filters of the log do not know."""
        if self.action not in ACTIONS:
            raise ValueError(f"action: expected one of ACTIONS, got {self.action!r}")


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """A stored entry of the audit log."""

    id: int
    at_us: int
    tenant: str
    key_id: str
    action: str
    target: str
    address: str
    agent: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Filter of the audit log, newest first."""

    tenant: str | None = None
    key_id: str | None = None
    action: str | None = None  # or the part before its dot
    target: str | None = None
    after_us: int | None = None
    before_us: int | None = None


@dataclass(frozen=True, kw_only=True)
class Cutoffs:
    """What lies at or before these places is beyond a limit. None: no limit."""

    jobs: Place | None = None
    events: Place | None = None
    files: Place | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one transaction of retention did."""

    after: Place  # continue behind this place
    done: bool = False  # nothing is left
    jobs: int = 0
    events: int = 0
    files: int = 0
    file_bytes: int = 0
    protected: int = 0
    orphans: tuple[str, ...] = ()  # digests that no tenant has any more
    took_s: float = 0.0  # work of the database, without waiting for its turn


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file of a tenant with its age and use."""

    record: ArtifactRecord
    used_us: int
    in_use: bool


@dataclass(frozen=True, kw_only=True)
class DeliveryAttemptRecord:
    """One try to deliver a webhook."""

    number: int
    at_us: int
    status_code: int | None
    detail: str


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """A delivery with the address of its webhook."""

    record: DeliveryRecord
    url: str


@dataclass(frozen=True, kw_only=True)
class WorkDone:
    """Ended jobs and attempts of a tenant, by kind."""

    jobs: int
    attempts: int
    busy_us: int


class Upkeep(Protocol):
    """Retention, audit log, usage, deliveries, rotation of keys."""

    async def tenants(self) -> list[str]:
        """Return every tenant with a key, a job or a file."""
        ...

    async def take_turn(self, name: str, *, seconds: float) -> bool:
        """Return True for one of several processes, until `seconds` have passed."""
        ...

    async def retention_rule(self, tenant: str) -> RetentionRule:
        """Return the tenant's own rule; an empty one if there is none."""
        ...

    async def put_retention_rule(self, tenant: str, rule: RetentionRule) -> None:
        """Replace the tenant's own rule."""
        ...

    async def cutoffs(self, tenant: str, rule: RetentionRule) -> Cutoffs:
        """Return where the limits of a rule lie now."""
        ...

    async def preview(
        self, tenant: str, rules: Sequence[RetentionRule]
    ) -> RetentionReport:
        """Return what these rules would remove now."""
        ...

    async def drop_jobs(
        self, tenant: str, rule: RetentionRule, until: Place, after: Place, *, rows: int
    ) -> Step:
        """Delete ended jobs up to `until`, at most about `rows` rows, in one transaction."""
        ...

    async def cut_events(
        self, tenant: str, until: Place, after: Place, *, rows: int
    ) -> Step:
        """Delete events of ended jobs up to `until`, except changes of state."""
        ...

    async def drop_files(
        self, tenant: str, until: Place, after: Place, *, rows: int
    ) -> Step:
        """Delete files up to `until` that no live job and no model uses."""
        ...

    async def drop_audit(self, *, before_us: int, rows: int) -> int:
        """Delete the oldest entries of the audit log, if they are before a time."""
        ...

    async def list_files(
        self, tenant: str, *, limit: int, before: Place | None = None
    ) -> list[StoredFile]:
        """List a tenant's files, newest first."""
        ...

    async def drop_file(self, digest: str, *, tenant: str) -> bool:
        """Delete a file with the references of ended jobs; True if no tenant has it any more.

        Raises NotFound, and Conflict while a job that has not ended or a model uses it.
        """
        ...

    async def unknown_files(self, digests: Sequence[str]) -> list[str]:
        """Return the digests that no tenant has."""
        ...

    async def audit(self, deed: Deed, *, actor: Actor | None = None) -> None:
        """Write an entry by itself, as the caller of this request unless `actor` is given."""
        ...

    async def list_audit(
        self, where: AuditFilter, *, limit: int, before_id: int | None = None
    ) -> list[AuditRecord]:
        """List entries of the audit log, newest first."""
        ...

    async def usage(self, tenant: str) -> tuple[Mapping[str, WorkDone], int, int, int]:
        """Return work by kind, and the numbers of events, files and bytes of files."""
        ...

    async def list_deliveries(
        self,
        *,
        tenant: str | None,
        states: Sequence[str],
        limit: int,
        before_job: str | None = None,
    ) -> list[Delivered]:
        """List webhook deliveries, those of the newest jobs first."""
        ...

    async def delivery_attempts(self, job_id: str) -> list[DeliveryAttemptRecord]:
        """Return the newest tries to deliver a job's webhook, oldest first."""
        ...

    async def resend(self, job_id: str, *, tenant: str | None = None) -> None:
        """Send the webhook of an ended job again, now. Raises NotFound and Conflict."""
        ...

    async def rotate_key(
        self, key_id: str, *, new_sha256: str, overlap_s: float
    ) -> ApiKeyRecord:
        """Replace the secret of a key; the old one works for `overlap_s` more.

        Raises NotFound, and Conflict for a revoked or expired key.
        """
        ...

    async def touch_keys(self, used_us: Mapping[str, int]) -> None:
        """Record when keys were last used."""
        ...


class ServiceStore(JobStore, Upkeep, Protocol):
    """The whole store of the service."""

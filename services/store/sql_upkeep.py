"""Housekeeping of `SqlStore`: retention, audit log, usage, deliveries, rotation of keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from services.store import codec
from services.store.refusals import no_such_artifact, no_such_job, no_such_key
from services.store.runner import Runner
from services.store.sql import api_keys, artifacts, audit, jobs, outbox, retention
from services.store.sql.tx import Tx
from services.store.types import ApiKeyRecord
from services.store.upkeep import (
    Actor,
    AuditFilter,
    AuditRecord,
    Cutoffs,
    Deed,
    Delivered,
    DeliveryAttemptRecord,
    Place,
    Step,
    StoredFile,
    WorkDone,
    acting,
)
from trimtab.upkeep import RetentionReport, RetentionRule

T = TypeVar("T")
# A step takes at most this multiple of its work; the rest is a wait for a core.
_BUSY = 4.0
_MOST = 2**62  # larger numbers do not fit a database integer


class SqlUpkeep:
    """`Upkeep` on a `Runner`. Methods: see there."""

    _runner: Runner

    async def tenants(self) -> list[str]:
        """See Upkeep."""
        return await self._read(retention.tenants)

    async def take_turn(self, name: str, *, seconds: float) -> bool:
        """See Upkeep."""
        return await self._write(retention.take_turn, name, seconds)

    async def retention_rule(self, tenant: str) -> RetentionRule:
        """See Upkeep."""
        return await self._read(retention.rule_of, tenant)

    async def put_retention_rule(self, tenant: str, rule: RetentionRule) -> None:
        """See Upkeep."""
        changed = rule.model_dump(mode="json", exclude_none=True)
        deed = Deed(action="retention.set", target=tenant, detail={"rule": changed})
        await self._act(deed, retention.put_rule, tenant, rule)

    async def cutoffs(self, tenant: str, rule: RetentionRule) -> Cutoffs:
        """See Upkeep."""
        return await self._read(retention.cutoffs, tenant, rule)

    async def preview(
        self, tenant: str, rules: Sequence[RetentionRule]
    ) -> RetentionReport:
        """See Upkeep."""
        return await self._read(retention.preview, tenant, rules)

    async def drop_jobs(
        self, tenant: str, rule: RetentionRule, until: Place, after: Place, *, rows: int
    ) -> Step:
        """See Upkeep."""
        return await self._step(retention.drop_jobs, tenant, rule, until, after, rows)

    async def cut_events(
        self, tenant: str, until: Place, after: Place, *, rows: int
    ) -> Step:
        """See Upkeep."""
        return await self._step(retention.cut_events, tenant, until, after, rows)

    async def drop_files(
        self, tenant: str, until: Place, after: Place, *, rows: int
    ) -> Step:
        """See Upkeep."""
        return await self._step(retention.drop_files, tenant, until, after, rows)

    async def drop_audit(self, *, before_us: int, rows: int) -> int:
        """See Upkeep."""
        return await self._write(audit.drop, before_us, rows)

    async def list_files(
        self, tenant: str, *, limit: int, before: Place | None = None
    ) -> list[StoredFile]:
        """See Upkeep."""
        return await self._read(retention.list_files, tenant, limit, before)

    async def drop_file(self, digest: str, *, tenant: str) -> bool:
        """See Upkeep."""
        if not codec.is_storable(digest):
            raise no_such_artifact(digest)
        deed = Deed(action="file.delete", target=digest)
        return await self._act(deed, retention.drop_file, digest, tenant)

    async def unknown_files(self, digests: Sequence[str]) -> list[str]:
        """See Upkeep."""
        return await self._read(artifacts.unknown, digests)

    async def audit(self, deed: Deed, *, actor: Actor | None = None) -> None:
        """See Upkeep."""
        actor = actor or acting.get()
        if actor is not None:
            await self._write(audit.write, actor, deed)

    async def list_audit(
        self, where: AuditFilter, *, limit: int, before_id: int | None = None
    ) -> list[AuditRecord]:
        """See Upkeep."""
        if not all(map(codec.is_storable, audit.texts_of(where))):
            return []  # nothing stored can match
        before = None if before_id is None else min(before_id, _MOST)
        return await self._read(audit.list_audit, where, limit, before)

    async def usage(self, tenant: str) -> tuple[Mapping[str, WorkDone], int, int, int]:
        """See Upkeep."""
        return await self._read(audit.usage, tenant)

    async def list_deliveries(
        self,
        *,
        tenant: str | None,
        states: Sequence[str],
        limit: int,
        before_job: str | None = None,
    ) -> list[Delivered]:
        """See Upkeep."""
        return await self._read(outbox.list_deliveries, tenant, states, limit, before_job)

    async def delivery_attempts(self, job_id: str) -> list[DeliveryAttemptRecord]:
        """See Upkeep."""
        return await self._read(outbox.attempts, job_id)

    async def resend(self, job_id: str, *, tenant: str | None = None) -> None:
        """See Upkeep."""
        if not codec.is_storable(job_id):
            raise no_such_job(job_id)
        deed = Deed(action="webhook.resend", target=job_id)
        await self._act(deed, _resend, job_id, tenant)

    async def rotate_key(
        self, key_id: str, *, new_sha256: str, overlap_s: float
    ) -> ApiKeyRecord:
        """See Upkeep."""
        if not codec.is_storable(key_id):
            raise no_such_key(key_id)
        deed = Deed(action="key.rotate", target=key_id, detail={"overlap_s": overlap_s})
        return await self._act(deed, api_keys.rotate, key_id, new_sha256, overlap_s)

    async def touch_keys(self, used_us: Mapping[str, int]) -> None:
        """See Upkeep."""
        await self._write(api_keys.touch, dict(used_us))

    async def _act(self, deed: Deed, operation: Callable[..., T], *arguments: Any) -> T:
        """Run a writing operation with an audit entry in the same transaction."""
        return await self._runner.write(
            partial(_audited, acting.get(), deed, operation, arguments)
        )

    async def _step(self, operation: Callable[..., Step], *arguments: Any) -> Step:
        return await self._runner.write(partial(_timed, operation, arguments))

    async def _write(self, operation: Callable[..., T], *arguments: Any) -> T:
        return await self._runner.write(partial(_call, operation, arguments))

    async def _read(self, operation: Callable[..., T], *arguments: Any) -> T:
        return await self._runner.read(partial(_call, operation, arguments))


def _call(operation: Callable[..., T], arguments: tuple[Any, ...], tx: Tx) -> T:
    return operation(tx, *arguments)


def _timed(operation: Callable[..., Step], arguments: tuple[Any, ...], tx: Tx) -> Step:
    """Run a step of retention and note how long it worked."""
    began, began_cpu = time.perf_counter(), time.thread_time()
    step = operation(tx, *arguments)
    # On a busy machine most of the time is a wait for a core, and smaller steps would not shorten
    # that. SQLite works in this thread. PostgreSQL does not, and holds up no submit meanwhile.
    worked_s = time.thread_time() - began_cpu
    waited_s = time.perf_counter() - began
    return replace(step, took_s=max(worked_s, waited_s / _BUSY))


def _audited(
    actor: Actor | None,
    deed: Deed,
    operation: Callable[..., T],
    arguments: tuple[Any, ...],
    tx: Tx,
) -> T:
    answer = operation(tx, *arguments)
    if actor is not None:
        audit.write(tx, actor, deed)
    return answer


def _resend(tx: Tx, job_id: str, tenant: str | None) -> None:
    outbox.resend(tx, jobs.get_locked(tx, job_id, tenant))

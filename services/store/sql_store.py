"""The `JobStore` on a database: each method names its operation and whether it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from sqlalchemy import text

from services.errors import StaleFence
from services.store import changes, codec
from services.store.clock import wall_clock_us
from services.store.ids import IdMaker
from services.store.lifecycle import Verb
from services.store.postgres_runner import PostgresRunner
from services.store.refusals import (
    no_such_artifact,
    no_such_job,
    no_such_key,
    no_such_model,
    require_storable,
    sole_tenant,
)
from services.store.runner import Runner
from services.store.sql import (
    api_keys,
    artifacts,
    graph,
    jobs,
    leases,
    listing,
    models,
    outbox,
    sessions,
    submission,
    views,
)
from services.store.sql.tx import postgres_clock, process_clock
from services.store.sql_upkeep import SqlUpkeep
from services.store.sqlite_runner import SqliteRunner
from services.store.types import (
    NEWEST_FIRST,
    RESTING_TTL_S,
    ApiKeyRecord,
    Approval,
    ArtifactRecord,
    AttemptRecord,
    Claim,
    Completion,
    DeliveryRecord,
    EventRecord,
    Idempotency,
    JobFilter,
    JobOrder,
    JobRecord,
    Memo,
    MemoRecord,
    ModelFilter,
    ModelPins,
    ModelRecord,
    NewEvent,
    NewJob,
    OutboxRecord,
    Position,
    Relatives,
    SavedView,
    Signals,
    Submitted,
)
from services.store.upkeep import Deed, acting
from trimtab.results import EventType, JobState
from trimtab.specs.common import JobChanges

T = TypeVar("T")

_MOST = 2**62  # beyond any seq or time; larger numbers do not fit a database integer


class SqlStore(SqlUpkeep):
    """Jobs in SQLite or PostgreSQL."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.dialect = runner.dialect

    @classmethod
    def on_sqlite(
        cls,
        path: Path,
        *,
        clock: Callable[[], int] = wall_clock_us,
        new_id: Callable[[], str] | None = None,
    ) -> SqlStore:
        """Create a store on a file, which no other process may have open."""
        return cls(SqliteRunner(path, clock=clock, new_id=new_id or IdMaker("job")))

    @classmethod
    def on_postgres(
        cls,
        url: str,
        *,
        clock: Callable[[], int] | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> SqlStore:
        """Create a store on a server, with the server's clock unless a test passes its own."""
        ticks = postgres_clock if clock is None else process_clock(clock)
        return cls(PostgresRunner(url, clock=ticks, new_id=new_id or IdMaker("job")))

    async def open(self) -> None:
        """See JobStore."""
        await self._runner.open()

    async def close(self) -> None:
        """See JobStore."""
        await self._runner.close()

    async def ping(self) -> None:
        """See JobStore."""
        await self._runner.read(lambda tx: tx.conn.execute(text("SELECT 1")).scalar_one())

    async def probe_write(self) -> None:
        """See JobStore."""
        await self._write(sessions.probe_write)

    async def now_us(self) -> int:
        """See JobStore."""
        return await self._runner.read(lambda tx: tx.now_us())

    # -- owners --
    async def submit(
        self, job: NewJob, idempotency: Idempotency | None = None
    ) -> Submitted:
        """See JobStore."""
        return (await self.submit_many([job], idempotency))[0]

    async def submit_many(
        self, jobs_: Sequence[NewJob], idempotency: Idempotency | None = None
    ) -> list[Submitted]:
        """See JobStore."""
        if not jobs_:
            return []
        require_storable(jobs=jobs_, idempotency=idempotency)
        sole_tenant(jobs_)
        plain = [changes.plain_job(job) for job in jobs_]
        return await self._write(submission.submit, acting.get(), plain, idempotency)

    async def get(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """See JobStore."""
        return await self._read(jobs.get, _storable(job_id), tenant)

    async def list_jobs(
        self,
        where: JobFilter,
        *,
        limit: int,
        order: JobOrder = NEWEST_FIRST,
        after: Position | None = None,
    ) -> list[JobRecord]:
        """See JobStore."""
        texts = [
            *where.kinds,
            *where.labels.keys(),
            *where.labels.values(),
            where.tenant or "",
            where.graph or "",
            where.model or "",
            *where.words,
            after.id if after else "",
            after.value if after and isinstance(after.value, str) else "",
        ]
        if not all(map(codec.is_storable, texts)):
            return []  # nothing stored can match
        where = replace(
            where,
            created_after_us=_bounded(where.created_after_us),
            created_before_us=_bounded(where.created_before_us),
        )
        if after is not None and isinstance(after.value, int):
            after = replace(after, value=_bounded(after.value))
        return await self._read(listing.list_jobs, where, _limit(limit), order, after)

    async def rename(
        self, job_id: str, changed: JobChanges, *, tenant: str | None = None
    ) -> JobRecord:
        """See JobStore."""
        detail = changed.model_dump(mode="json", exclude_none=True)
        deed = Deed(action="job.change", target=job_id, detail=detail)
        return await self._act(deed, jobs.rename, _storable(job_id), tenant, changed)

    async def put_view(self, view: SavedView, *, most: int) -> None:
        """See JobStore."""
        deed = Deed(action="view.save", target=view.name, detail={"query": view.query})
        await self._act(deed, views.put, view, most)

    async def list_views(self, tenant: str) -> list[SavedView]:
        """See JobStore."""
        return await self._read(views.listed, tenant)

    async def delete_view(self, tenant: str, name: str) -> None:
        """See JobStore."""
        deed = Deed(action="view.delete", target=name)
        await self._act(deed, views.remove, tenant, name)

    async def request_cancel(
        self, job_id: str, *, tenant: str | None = None
    ) -> JobRecord:
        """See JobStore."""
        return await self._act(
            Deed(action="job.cancel", target=job_id),
            jobs.request,
            _storable(job_id),
            tenant,
            Verb.CANCEL,
        )

    async def request_stop(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """See JobStore."""
        return await self._act(
            Deed(action="job.stop", target=job_id),
            jobs.request,
            _storable(job_id),
            tenant,
            Verb.STOP,
        )

    async def memo(self, job_id: str, *, tenant: str | None = None) -> MemoRecord | None:
        """See JobStore."""
        return await self._read(jobs.memo, _storable(job_id), tenant)

    async def put_memo(
        self, job_id: str, memo: Memo, *, revision: int, tenant: str | None = None
    ) -> MemoRecord:
        """See JobStore."""
        plain = changes.plain_memo(memo)
        deed = Deed(action="plan.edit", target=job_id)
        return await self._act(
            deed, jobs.put_memo, _storable(job_id), plain, revision, tenant
        )

    async def answer(
        self, job_id: str, memo: Memo, *, revision: int, tenant: str | None = None
    ) -> JobRecord:
        """See JobStore."""
        plain = changes.plain_memo(memo)
        deed = Deed(action="plan.answer", target=job_id)
        return await self._act(
            deed, jobs.answer, _storable(job_id), plain, revision, tenant
        )

    async def approve(
        self,
        job_id: str,
        approval: Approval,
        *,
        revision: int,
        tenant: str | None = None,
    ) -> JobRecord:
        """See JobStore."""
        require_storable(jobs=approval.children, idempotency=None)
        plain = changes.plain_approval(approval)
        deed = Deed(
            action="plan.approve", target=job_id, detail={"digest": approval.digest}
        )
        return await self._act(
            deed, jobs.approve, _storable(job_id), plain, revision, tenant
        )

    async def redrive(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """See JobStore."""
        deed = Deed(action="job.retry", target=job_id)
        return await self._act(deed, jobs.redrive, _storable(job_id), tenant)

    async def delete(self, job_id: str, *, tenant: str | None = None) -> None:
        """See JobStore."""
        deed = Deed(action="job.delete", target=job_id)
        await self._act(deed, jobs.remove, _storable(job_id), tenant)

    async def events(
        self, job_id: str, *, after_seq: int = 0, limit: int = 1000
    ) -> list[EventRecord]:
        """See JobStore."""
        if not codec.is_storable(job_id):
            return []
        return await self._read(jobs.events, job_id, _bounded(after_seq), _limit(limit))

    async def newest_events(
        self, job_id: str, of: EventType, *, limit: int = 200
    ) -> list[EventRecord]:
        """See JobStore."""
        if not codec.is_storable(job_id):
            return []
        return await self._read(jobs.newest_events, job_id, of, _limit(limit))

    async def attempts(self, job_id: str) -> list[AttemptRecord]:
        """See JobStore."""
        return (
            await self._read(jobs.attempts, job_id) if codec.is_storable(job_id) else []
        )

    async def relatives(self, job_id: str) -> Relatives:
        """See JobStore."""
        return await self._read(graph.relatives, _storable(job_id))

    async def counts(self, tenant: str | None = None) -> dict[JobState, int]:
        """See JobStore."""
        return await self._read(jobs.counts, tenant)

    async def oldest_queued_us(self) -> int | None:
        """See JobStore."""
        return await self._read(jobs.oldest_queued_us)

    # -- lease holders --
    async def claim(
        self, owner: str, *, kinds: Sequence[str], lease_s: float, limit: int = 1
    ) -> list[Claim]:
        """See JobStore."""
        return (
            await self._write(leases.claim, owner, kinds, lease_s, _limit(limit))
            if kinds and limit > 0
            else []
        )

    async def renew(self, job_id: str, fence: int, *, lease_s: float) -> Signals:
        """See JobStore."""
        return _unless_stale(await self._write(leases.renew, job_id, fence, lease_s))

    async def append(self, job_id: str, fence: int, events: Sequence[NewEvent]) -> int:
        """See JobStore."""
        return _unless_stale(
            await self._write(leases.append, job_id, fence, list(events))
        )

    async def put_checkpoint(self, job_id: str, fence: int, data: bytes) -> None:
        """See JobStore."""
        _unless_stale(await self._write(leases.put_checkpoint, job_id, fence, data))

    async def get_checkpoint(self, job_id: str) -> bytes | None:
        """See JobStore."""
        return (
            await self._read(leases.get_checkpoint, job_id)
            if codec.is_storable(job_id)
            else None
        )

    async def complete(
        self, job_id: str, fence: int, completion: Completion
    ) -> JobRecord:
        """See JobStore."""
        require_storable(jobs=completion.children, idempotency=None)
        plain = changes.plain_completion(completion)
        return _unless_stale(await self._write(leases.complete, job_id, fence, plain))

    async def sweep(
        self, *, limit: int = 100, resting_ttl_s: float = RESTING_TTL_S
    ) -> list[JobRecord]:
        """See JobStore."""
        return await self._write(leases.sweep, _limit(limit), resting_ttl_s)

    async def stale_writes(self) -> int:
        """See JobStore."""
        return await self._read(leases.stale_writes)

    # -- outbox --
    async def outbox_due(
        self, *, limit: int = 20, lock_s: float = 60.0
    ) -> list[OutboxRecord]:
        """See JobStore."""
        return await self._write(outbox.due, _limit(limit), lock_s)

    async def outbox_done(
        self,
        outbox_id: int,
        *,
        delivered: bool = True,
        detail: str = "",
        status_code: int | None = None,
    ) -> None:
        """See JobStore."""
        reason = codec.storable(detail)[:1000]
        await self._write(outbox.done, outbox_id, delivered, reason, status_code)

    async def outbox_retry(
        self,
        outbox_id: int,
        *,
        delay_s: float,
        detail: str = "",
        status_code: int | None = None,
    ) -> None:
        """See JobStore."""
        reason = codec.storable(detail)[:1000]
        await self._write(outbox.retry, outbox_id, delay_s, reason, status_code)

    async def delivery(self, job_id: str) -> DeliveryRecord | None:
        """See JobStore."""
        return await self._read(outbox.delivery, _storable(job_id))

    # -- sessions --
    async def end_session(self, session_id: str, *, expires_us: int) -> None:
        """See JobStore."""
        if codec.is_storable(session_id):
            await self._write(sessions.end, session_id, _bounded(expires_us))

    async def session_ended(self, session_id: str) -> bool:
        """See JobStore."""
        return codec.is_storable(session_id) and await self._read(
            sessions.ended, session_id
        )

    # -- artifacts and keys --
    async def put_artifact(self, artifact: ArtifactRecord) -> ArtifactRecord:
        """See JobStore."""
        size = {"name": artifact.name, "size_bytes": artifact.size_bytes}
        deed = Deed(action="file.store", target=artifact.digest, detail=size)
        return await self._act(deed, artifacts.put, artifact)

    async def get_artifact(
        self, digest: str, *, tenant: str | None = None
    ) -> ArtifactRecord:
        """See JobStore."""
        if not codec.is_storable(digest):
            raise no_such_artifact(digest)
        return await self._read(artifacts.get, digest, tenant)

    async def artifact_bytes(self, tenant: str) -> int:
        """See JobStore."""
        return await self._read(artifacts.total_bytes, tenant)

    async def unreferenced_artifacts(
        self, *, older_than_us: int, limit: int = 100
    ) -> list[ArtifactRecord]:
        """See JobStore."""
        return await self._read(
            artifacts.unreferenced, _bounded(older_than_us), _limit(limit)
        )

    async def delete_artifact(self, digest: str, *, tenant: str) -> bool:
        """See JobStore."""
        return await self._write(artifacts.remove, digest, tenant)

    # -- models --
    async def list_models(
        self, where: ModelFilter, *, limit: int, before_id: str | None = None
    ) -> list[ModelRecord]:
        """See JobStore."""
        texts = (where.tenant or "", where.target or "", before_id or "")
        if not all(map(codec.is_storable, texts)):
            return []  # nothing stored can match
        return await self._read(models.list_models, where, _limit(limit), before_id)

    async def get_model(self, model_id: str, *, tenant: str | None = None) -> ModelRecord:
        """See JobStore."""
        return await self._read(models.get, _storable_model(model_id), tenant)

    async def retire_model(
        self, model_id: str, *, tenant: str | None = None
    ) -> ModelRecord:
        """See JobStore."""
        deed = Deed(action="model.retire", target=model_id)
        return await self._act(deed, models.retire, _storable_model(model_id), tenant)

    async def pin_models(
        self, job_id: str, fence: int, model_ids: Sequence[str]
    ) -> ModelPins:
        """See JobStore."""
        return _unless_stale(
            await self._write(models.pin, job_id, fence, list(model_ids))
        )

    async def model_pins(self, job_id: str) -> ModelPins:
        """See JobStore."""
        return await self._read(models.pins, _storable(job_id))

    async def put_key(self, key: ApiKeyRecord) -> None:
        """See JobStore."""
        about = {"name": key.name, "tenant": key.tenant, "scopes": list(key.scopes)}
        deed = Deed(action="key.create", target=key.id, detail=about)
        await self._act(deed, api_keys.put, key)

    async def get_key(self, key_id: str) -> ApiKeyRecord | None:
        """See JobStore."""
        return (
            await self._read(api_keys.get, key_id) if codec.is_storable(key_id) else None
        )

    async def list_keys(self, tenant: str | None = None) -> list[ApiKeyRecord]:
        """See JobStore."""
        return await self._read(api_keys.list_keys, tenant)

    async def revoke_key(self, key_id: str) -> None:
        """See JobStore."""
        if not codec.is_storable(key_id):
            raise no_such_key(key_id)
        deed = Deed(action="key.revoke", target=key_id)
        await self._act(deed, api_keys.revoke, key_id)


def _storable(job_id: str) -> str:
    if not codec.is_storable(job_id):
        raise no_such_job(job_id)
    return job_id


def _storable_model(model_id: str) -> str:
    if not codec.is_storable(model_id):
        raise no_such_model(model_id)
    return model_id


def _unless_stale(answer: T | StaleFence) -> T:
    if isinstance(answer, StaleFence):
        raise answer
    return answer


def _bounded(number: int | None) -> int | None:
    return None if number is None else max(-_MOST, min(number, _MOST))


def _limit(number: int) -> int:
    return max(0, min(number, _MOST))

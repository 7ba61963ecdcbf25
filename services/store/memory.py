"""The in-memory twin: the reference the databases are compared with, and the store of tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from services.errors import Conflict, NotFound, StaleFence
from services.store import changes
from services.store.changes import US, Change
from services.store.ids import IdMaker
from services.store.types import (
    ApiKeyRecord,
    ArtifactRecord,
    AttemptRecord,
    Claim,
    Completion,
    EventRecord,
    Idempotency,
    JobFilter,
    JobRecord,
    NewEvent,
    NewJob,
    OutboxRecord,
    Signals,
    Submitted,
)
from trimtab.results import JobState


def system_clock_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


@dataclass
class _Remembered:
    request_digest: str
    job_ids: list[str]
    expires_us: int


@dataclass
class MemoryStore:
    """Dictionaries. Coroutines never wait, so that every operation is atomic on its event loop."""

    clock_us: Callable[[], int] = system_clock_us
    dialect: str = "memory"
    _jobs: dict[str, JobRecord] = field(default_factory=dict)
    _events: dict[str, list[EventRecord]] = field(default_factory=dict)
    _attempts: dict[str, list[AttemptRecord]] = field(default_factory=dict)
    _references: dict[str, set[str]] = field(default_factory=dict)
    _idempotency: dict[tuple[str, str], _Remembered] = field(default_factory=dict)
    _outbox: dict[int, OutboxRecord] = field(default_factory=dict)
    _artifacts: dict[tuple[str, str], ArtifactRecord] = field(default_factory=dict)
    _keys: dict[str, ApiKeyRecord] = field(default_factory=dict)
    _next_outbox: int = 1
    _stale: int = 0
    _new_id: IdMaker = field(default_factory=lambda: IdMaker("job"))

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def ping(self) -> None:
        """Always there."""

    async def now_us(self) -> int:
        """The injected clock."""
        return self.clock_us()

    # -- owners -------------------------------------------------------------------------------------------------------
    async def submit(self, job: NewJob, idempotency: Idempotency | None = None) -> Submitted:
        """See JobStore."""
        return (await self.submit_many([job], idempotency))[0]

    async def submit_many(self, jobs: Sequence[NewJob], idempotency: Idempotency | None = None) -> list[Submitted]:
        """See JobStore."""
        now = self.clock_us()
        if idempotency is not None and jobs:
            slot = (jobs[0].tenant, idempotency.key)
            known = self._idempotency.get(slot)
            if known is not None and known.expires_us > now:
                check_replay(known.request_digest, idempotency)
                return [Submitted(job=self._jobs[i], replayed=True) for i in known.job_ids if i in self._jobs]
        made = [changes.submit(job, job_id=self._new_id(), now_us=now) for job in jobs]
        for change in made:
            self._write(change, now)
        if idempotency is not None and jobs:
            expires = now + round(idempotency.ttl_s * US)
            ids = [change.job.id for change in made]
            self._idempotency[slot] = _Remembered(idempotency.request_digest, ids, expires)
        return [Submitted(job=change.job, replayed=False) for change in made]

    async def get(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """See JobStore."""
        job = self._jobs.get(job_id)
        if job is None or (tenant is not None and job.tenant != tenant):
            raise no_job(job_id)
        return job

    async def list_jobs(self, where: JobFilter, *, limit: int, before_id: str | None = None) -> list[JobRecord]:
        """See JobStore."""
        found = []
        for job_id in sorted(self._jobs, reverse=True):
            job = self._jobs[job_id]
            if (before_id is None or job_id < before_id) and _matches(job, where):
                found.append(replace(job, result=None))
                if len(found) == limit:
                    break
        return found

    async def request_cancel(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """See JobStore."""
        job = await self.get(job_id, tenant=tenant)
        return self._apply(changes.request_cancel(job, now_us=self.clock_us()), job)

    async def request_stop(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """See JobStore."""
        job = await self.get(job_id, tenant=tenant)
        return self._apply(changes.request_stop(job, now_us=self.clock_us()), job)

    async def redrive(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        """See JobStore."""
        job = await self.get(job_id, tenant=tenant)
        return self._apply(changes.redrive(job, now_us=self.clock_us()), job)

    async def delete(self, job_id: str, *, tenant: str | None = None) -> None:
        """See JobStore."""
        changes.check_deletable(await self.get(job_id, tenant=tenant))
        for table in (self._jobs, self._events, self._attempts, self._references):
            table.pop(job_id, None)
        for remembered in list(self._idempotency.items()):
            if job_id in remembered[1].job_ids:
                del self._idempotency[remembered[0]]

    async def events(self, job_id: str, *, after_seq: int = 0, limit: int = 1000) -> list[EventRecord]:
        """See JobStore."""
        return [e for e in self._events.get(job_id, []) if e.seq > after_seq][:limit]

    async def attempts(self, job_id: str) -> list[AttemptRecord]:
        """See JobStore."""
        return list(self._attempts.get(job_id, []))

    async def counts(self, tenant: str | None = None) -> dict[JobState, int]:
        """See JobStore."""
        found = dict.fromkeys(JobState, 0)
        for job in self._jobs.values():
            if tenant is None or job.tenant == tenant:
                found[job.state] += 1
        return found

    # -- lease holders ------------------------------------------------------------------------------------------------
    async def claim(self, owner: str, *, kinds: Sequence[str], lease_s: float, limit: int = 1) -> list[Claim]:
        """See JobStore."""
        now = self.clock_us()
        due = [
            job
            for job in self._jobs.values()
            if job.state is JobState.QUEUED and job.run_at_us <= now and job.kind in kinds
        ]
        due.sort(key=lambda job: (-job.priority, job.id))
        claims = []
        for job in due[:limit]:
            change = changes.claim(job, owner=owner, lease_s=lease_s, now_us=now)
            after = self._write(change, now)
            self._attempts.setdefault(job.id, []).append(
                AttemptRecord(
                    job_id=job.id,
                    number=after.attempt,
                    fence=after.fence,
                    worker=owner,
                    started_us=now,
                    ended_us=None,
                    outcome=None,
                )
            )
            claims.append(Claim(job=after, fence=after.fence, lease_until_us=after.lease_until_us or now))
        return claims

    async def renew(self, job_id: str, fence: int, *, lease_s: float) -> Signals:
        """See JobStore."""
        now = self.clock_us()
        job = self._held(job_id, fence, lambda job: changes.renew(job, fence, lease_s=lease_s, now_us=now))
        return Signals(
            stop_requested=job.stop_requested,
            cancel_requested=job.cancel_requested,
            lease_until_us=job.lease_until_us or now,
        )

    async def append(self, job_id: str, fence: int, events: Sequence[NewEvent]) -> int:
        """See JobStore."""
        now = self.clock_us()
        return self._held(job_id, fence, lambda job: changes.append(job, fence, events, now_us=now)).last_seq

    async def complete(self, job_id: str, fence: int, completion: Completion) -> JobRecord:
        """See JobStore."""
        now = self.clock_us()
        return self._held(job_id, fence, lambda job: changes.complete(job, fence, completion, now_us=now))

    async def sweep(self, *, limit: int = 100) -> list[JobRecord]:
        """See JobStore."""
        now = self.clock_us()
        late = [
            job
            for job in self._jobs.values()
            if job.state is JobState.RUNNING and job.lease_until_us is not None and job.lease_until_us <= now
        ]
        late.sort(key=lambda job: job.id)
        moved = [self._write(changes.sweep(job, now_us=now), now) for job in late[:limit]]
        self._idempotency = {k: v for k, v in self._idempotency.items() if v.expires_us > now}
        return moved

    async def stale_writes(self) -> int:
        """See JobStore."""
        return self._stale

    # -- outbox -------------------------------------------------------------------------------------------------------
    async def outbox_due(self, *, limit: int = 20, lock_s: float = 60.0) -> list[OutboxRecord]:
        """See JobStore."""
        now = self.clock_us()
        due = sorted((r for r in self._outbox.values() if r.next_try_us <= now), key=lambda r: (r.next_try_us, r.id))
        for row in due[:limit]:
            self._outbox[row.id] = replace(row, next_try_us=now + round(lock_s * US))
        return due[:limit]

    async def outbox_done(self, outbox_id: int) -> None:
        """See JobStore."""
        self._outbox.pop(outbox_id, None)

    async def outbox_retry(self, outbox_id: int, *, delay_s: float) -> None:
        """See JobStore."""
        row = self._outbox.get(outbox_id)
        if row is not None:
            later = self.clock_us() + round(delay_s * US)
            self._outbox[outbox_id] = replace(row, tries=row.tries + 1, next_try_us=later)

    # -- artifacts and keys -------------------------------------------------------------------------------------------
    async def put_artifact(self, artifact: ArtifactRecord) -> ArtifactRecord:
        """See JobStore."""
        return self._artifacts.setdefault((artifact.tenant, artifact.digest), artifact)

    async def get_artifact(self, digest: str, *, tenant: str | None = None) -> ArtifactRecord:
        """See JobStore."""
        for (owner, held), record in self._artifacts.items():
            if held == digest and tenant in (None, owner):
                return record
        raise no_artifact(digest)

    async def artifact_bytes(self, tenant: str) -> int:
        """See JobStore."""
        return sum(a.size_bytes for a in self._artifacts.values() if a.tenant == tenant)

    async def unreferenced_artifacts(self, *, older_than_us: int, limit: int = 100) -> list[ArtifactRecord]:
        """See JobStore."""
        used = {(self._jobs[i].tenant, d) for i, digests in self._references.items() for d in digests}
        free = [a for key, a in self._artifacts.items() if key not in used and a.created_us < older_than_us]
        return sorted(free, key=lambda a: (a.created_us, a.digest))[:limit]

    async def delete_artifact(self, digest: str, *, tenant: str) -> bool:
        """See JobStore."""
        self._artifacts.pop((tenant, digest), None)
        return all(held != digest for _, held in self._artifacts)

    async def put_key(self, key: ApiKeyRecord) -> None:
        """See JobStore."""
        if key.id in self._keys:
            raise Conflict(f"API key {key.id} exists")
        self._keys[key.id] = key

    async def get_key(self, key_id: str) -> ApiKeyRecord | None:
        """See JobStore."""
        return self._keys.get(key_id)

    async def list_keys(self, tenant: str | None = None) -> list[ApiKeyRecord]:
        """See JobStore."""
        return sorted(
            (k for k in self._keys.values() if tenant in (None, k.tenant)), key=lambda k: (k.created_us, k.id)
        )

    async def revoke_key(self, key_id: str) -> None:
        """See JobStore."""
        if key_id not in self._keys:
            raise no_key(key_id)
        self._keys[key_id] = replace(self._keys[key_id], revoked=True)

    # -- inside -------------------------------------------------------------------------------------------------------
    def _held(self, job_id: str, fence: int, change: Callable[[JobRecord], Change]) -> JobRecord:
        try:
            job = self._jobs.get(job_id)
            if job is None:
                raise StaleFence(job_id, fence)
            return self._write(change(job), self.clock_us())
        except StaleFence:
            self._stale += 1
            raise

    def _apply(self, change: Change | None, job: JobRecord) -> JobRecord:
        return job if change is None else self._write(change, self.clock_us())

    def _write(self, change: Change, now: int) -> JobRecord:
        job = change.job
        self._jobs[job.id] = job
        first = job.last_seq - len(change.events) + 1
        self._events.setdefault(job.id, []).extend(
            EventRecord(job_id=job.id, seq=first + i, type=e.type, at_us=now, data=e.data)
            for i, e in enumerate(change.events)
        )
        self._references.setdefault(job.id, set()).update(change.artifacts)
        if change.attempt_end is not None:
            end = change.attempt_end
            self._attempts[job.id] = [
                replace(a, ended_us=now, outcome=end.outcome) if a.fence == end.fence else a
                for a in self._attempts[job.id]
            ]
        if change.delivery is not None:
            self._outbox[self._next_outbox] = OutboxRecord(
                id=self._next_outbox,
                tenant=job.tenant,
                job_id=job.id,
                url=change.delivery.url,
                payload=change.delivery.payload,
                tries=0,
                next_try_us=now,
            )
            self._next_outbox += 1
        return job


def check_replay(stored_digest: str, idempotency: Idempotency) -> None:
    """Raise Conflict when a key comes back with another body."""
    if stored_digest != idempotency.request_digest:
        raise Conflict(
            f"Idempotency-Key {idempotency.key!r} was used before with another body",
            fix="send the first body again to get its job, or choose a new key for a new job",
        )


def no_job(job_id: str) -> NotFound:
    """The error for a job that is not there, or not this tenant's."""
    return NotFound(f"no job {job_id!r}", fix="list yours: GET /v1/jobs")


def no_artifact(digest: str) -> NotFound:
    """The error for a file that is not there, or not this tenant's."""
    return NotFound(f"no artifact {digest!r}", fix="upload the file first: POST /v1/artifacts?name=FILE")


def no_key(key_id: str) -> NotFound:
    """The error for an API key that is not there."""
    return NotFound(f"no API key {key_id!r}", fix="list them: GET /v1/keys")


def _matches(job: JobRecord, where: JobFilter) -> bool:
    return (
        (where.tenant is None or job.tenant == where.tenant)
        and (not where.states or job.state in where.states)
        and (not where.kinds or job.kind in where.kinds)
        and all(job.labels.get(k) == v for k, v in where.labels.items())
        and (where.created_after_us is None or job.created_us > where.created_after_us)
        and (where.created_before_us is None or job.created_us < where.created_before_us)
    )

"""In-memory `JobStore` for tests: the store contract at its plainest.

The SQL stores are compared with it. No operation awaits inside, so on one event loop each is a
transaction. Values pass through the same JSON text as in a database, so that no test relies on a
shared object.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.errors import StaleFence
from services.store import changes, codec, graphs, plans
from services.store.clock import wall_clock_us
from services.store.ids import IdMaker
from services.store.lifecycle import Verb
from services.store.refusals import (
    key_exists,
    no_such_artifact,
    no_such_job,
    no_such_key,
    no_such_model,
    no_such_view,
    replay_of_deleted,
    require_retirable,
    require_same_request,
    require_storable,
    sole_tenant,
    too_many_views,
)
from services.store.searching import matches_words, position
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
    Edge,
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
    ModelState,
    NewEvent,
    NewJob,
    OutboxRecord,
    PendingInput,
    Position,
    Relatives,
    SavedView,
    Signals,
    Submitted,
)
from tests.doubles.memory_upkeep import MemoryUpkeep
from trimtab.results import EventType, JobState
from trimtab.specs.common import JobChanges


@dataclass(frozen=True, kw_only=True)
class _Key:
    request_digest: str
    job_ids: tuple[str, ...]
    expires_us: int


class MemoryStore(MemoryUpkeep):
    """A `JobStore` in dictionaries, for one event loop. Methods: see `JobStore`."""

    dialect = "memory"

    def __init__(
        self,
        *,
        clock: Callable[[], int] = wall_clock_us,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        super().__init__()
        self._now = clock
        self._new_id = new_id or IdMaker("job")
        self._jobs: dict[str, JobRecord] = {}  # in order of creation
        self._queued: set[str] = set()
        self._running: set[str] = set()
        self._events: dict[str, list[EventRecord]] = defaultdict(list)
        self._attempts: dict[str, list[AttemptRecord]] = defaultdict(list)
        self._inputs: dict[str, tuple[str, ...]] = {}  # job → digests in its spec
        self._edges: list[Edge] = []
        self._awaited: dict[tuple[str, tuple[str | int, ...]], PendingInput] = {}
        self._outputs: dict[str, tuple[str, ...]] = {}  # job → digests it produced
        self._checkpoints: dict[str, bytes] = {}
        self._memos: dict[str, MemoRecord] = {}
        self._keys: dict[tuple[str, str], _Key] = {}
        self._outbox: dict[int, OutboxRecord] = {}
        self._next_outbox = 1
        self._deliveries: dict[str, DeliveryRecord] = {}
        self._ended_sessions: dict[str, int] = {}  # id → when it expires
        self._artifacts: dict[tuple[str, str], ArtifactRecord] = {}
        self._api_keys: dict[str, ApiKeyRecord] = {}
        self._views: dict[tuple[str, str], SavedView] = {}
        self._models: dict[str, ModelRecord] = {}
        self._pinned: dict[str, ModelPins] = {}
        self._stale_writes = 0

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def ping(self) -> None:
        pass

    async def probe_write(self) -> None:
        pass

    async def now_us(self) -> int:
        return self._now()

    # -- owners --
    async def submit(
        self, job: NewJob, idempotency: Idempotency | None = None
    ) -> Submitted:
        return (await self.submit_many([job], idempotency))[0]

    async def submit_many(
        self, jobs: Sequence[NewJob], idempotency: Idempotency | None = None
    ) -> list[Submitted]:
        if not jobs:
            return []
        require_storable(jobs=jobs, idempotency=idempotency)
        now = self._now()
        tenant = sole_tenant(jobs)
        # Encoded before anything is stored: all or none. Ids are drawn before the key is looked
        # up, as in the SQL stores, so that random histories draw the same ids.
        plain = [changes.plain_job(job) for job in jobs]
        job_ids = [self._new_id() for _ in plain]
        if idempotency is not None:
            stored = self._keys.get((tenant, idempotency.key))
            if stored is not None and stored.expires_us > now:
                require_same_request(idempotency, stored.request_digest)
                return [
                    self._replayed(job_id, idempotency.key) for job_id in stored.job_ids
                ]
        placed = graphs.place_all(plain, job_ids, _MemoryLinks(self, now), now)
        steps = [one.change for one in placed]
        self._insert(plain, placed, now)
        if idempotency is not None:
            self._keys[tenant, idempotency.key] = _Key(
                request_digest=idempotency.request_digest,
                job_ids=tuple(step.job.id for step in steps),
                expires_us=now + changes.microseconds(idempotency.ttl_s),
            )
        first, last = steps[0].job, steps[-1].job
        detail = {"kind": first.kind}
        if len(steps) > 1:
            kinds = sorted({step.job.kind for step in steps})
            detail = {"jobs": len(steps), "last": last.id, "kinds": kinds}
        self.note("job.submit", first.id, detail)
        return [Submitted(job=step.job, replayed=False) for step in steps]

    def _insert(
        self, jobs: Sequence[NewJob], placed: Sequence[graphs.Placed], now: int
    ) -> None:
        for job, one in zip(jobs, placed, strict=True):
            self._inputs[one.change.job.id] = tuple(dict.fromkeys(job.artifacts))
            if job.model != "auto":
                self._pinned[one.change.job.id] = ModelPins(wanted=job.model)
            self._write(one.change, now)
            self._edges.extend(one.edges)
            self._awaited.update(
                {(file.child, tuple(file.path)): file for file in one.inputs}
            )

    def _replayed(self, job_id: str, key: str) -> Submitted:
        if job_id not in self._jobs:
            raise replay_of_deleted(job_id, key)
        return Submitted(job=self._jobs[job_id], replayed=True)

    async def get(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        job = self._jobs.get(job_id)
        if job is None or tenant not in (None, job.tenant):
            raise no_such_job(job_id)
        return job

    async def list_jobs(
        self,
        where: JobFilter,
        *,
        limit: int,
        order: JobOrder = NEWEST_FIRST,
        after: Position | None = None,
    ) -> list[JobRecord]:
        found = [
            job
            for job in self._newest_first()
            if _matches(job, where) and where.model in (None, self._wanted(job.id))
        ]
        lacking = [job for job in found if position(job, order).value is None]
        valued = [job for job in found if position(job, order).value is not None]
        for jobs in (lacking, valued):
            jobs.sort(key=lambda job: _place(job, order), reverse=order.descending)
        page = valued + lacking
        if after is not None:
            page = [job for job in page if _is_beyond(position(job, order), after, order)]
        return [replace(job, spec={}, result=None) for job in page[: max(limit, 0)]]

    def _wanted(self, job_id: str) -> str:
        return self._pinned[job_id].wanted if job_id in self._pinned else "auto"

    async def rename(
        self, job_id: str, changed: JobChanges, *, tenant: str | None = None
    ) -> JobRecord:
        job = await self.get(job_id, tenant=tenant)
        self._jobs[job_id] = changes.renamed(job, changed)
        detail = changed.model_dump(mode="json", exclude_none=True)
        self.note("job.change", job_id, detail)
        return self._jobs[job_id]

    async def put_view(self, view: SavedView, *, most: int) -> None:
        others = [key for key in self._views if key[0] == view.tenant]
        if len(set(others) - {(view.tenant, view.name)}) >= most:
            raise too_many_views(most)
        self._views[view.tenant, view.name] = view
        self.note("view.save", view.name, {"query": view.query})

    async def list_views(self, tenant: str) -> list[SavedView]:
        views = (view for view in self._views.values() if view.tenant == tenant)
        return sorted(views, key=lambda view: view.name)

    async def delete_view(self, tenant: str, name: str) -> None:
        if self._views.pop((tenant, name), None) is None:
            raise no_such_view(name)
        self.note("view.delete", name)

    async def request_cancel(
        self, job_id: str, *, tenant: str | None = None
    ) -> JobRecord:
        job = await self._request(job_id, Verb.CANCEL, tenant)
        self.note("job.cancel", job_id)
        return job

    async def request_stop(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        job = await self._request(job_id, Verb.STOP, tenant)
        self.note("job.stop", job_id)
        return job

    async def _request(self, job_id: str, verb: Verb, tenant: str | None) -> JobRecord:
        now = self._now()
        job = await self.get(job_id, tenant=tenant)
        return plans.request(job, verb, _MemoryLinks(self, now), now)

    async def memo(self, job_id: str, *, tenant: str | None = None) -> MemoRecord | None:
        await self.get(job_id, tenant=tenant)
        return self._memos.get(job_id)

    async def put_memo(
        self, job_id: str, memo: Memo, *, revision: int, tenant: str | None = None
    ) -> MemoRecord:
        now = self._now()
        job = await self.get(job_id, tenant=tenant)
        plain, links = changes.plain_memo(memo), _MemoryLinks(self, now)
        step = plans.put_memo(job, plain, links, now, revision=revision)
        self._write(step, now)
        self.note("plan.edit", job_id)
        return self._memos[job_id]

    async def answer(
        self, job_id: str, memo: Memo, *, revision: int, tenant: str | None = None
    ) -> JobRecord:
        now = self._now()
        job = await self.get(job_id, tenant=tenant)
        plain, links = changes.plain_memo(memo), _MemoryLinks(self, now)
        step = plans.answer(job, plain, links, now, revision=revision)
        self.note("plan.answer", job_id)
        return self._write(step, now) or job

    async def approve(
        self,
        job_id: str,
        approval: Approval,
        *,
        revision: int,
        tenant: str | None = None,
    ) -> JobRecord:
        require_storable(jobs=approval.children, idempotency=None)
        now = self._now()
        job = await self.get(job_id, tenant=tenant)
        plain, links = changes.plain_approval(approval), _MemoryLinks(self, now)
        started = plans.approve(job, plain, links, self._new_id, now, revision=revision)
        if started is None:
            return job
        self._write(started.change, now)
        self._insert(started.children, started.placed, now)
        self.note("plan.approve", job_id, {"digest": approval.digest})
        return started.change.job

    async def redrive(self, job_id: str, *, tenant: str | None = None) -> JobRecord:
        now = self._now()
        job = await self.get(job_id, tenant=tenant)
        step = graphs.redrive(job, _MemoryLinks(self, now), now)
        self._outputs.pop(job_id, None)
        self.note("job.retry", job_id)
        return step.job

    async def delete(self, job_id: str, *, tenant: str | None = None) -> None:
        job = await self.get(job_id, tenant=tenant)
        waiting = [
            child
            for child, (_, state) in (await self.relatives(job_id)).children.items()
            if not state.is_terminal
        ]
        changes.require_deletable(job, waiting[0] if waiting else None)
        self._erase(job_id)
        self.note("job.delete", job_id)

    def _erase(self, job_id: str) -> None:
        self._edges = [
            edge for edge in self._edges if job_id not in (edge.parent, edge.child)
        ]
        self._awaited = {
            place: file for place, file in self._awaited.items() if file.child != job_id
        }
        del self._jobs[job_id]
        self._events.pop(job_id, None)
        self._attempts.pop(job_id, None)
        self._inputs.pop(job_id, None)
        self._outputs.pop(job_id, None)
        self._checkpoints.pop(job_id, None)
        self._pinned.pop(job_id, None)
        self._memos.pop(job_id, None)

    async def events(
        self, job_id: str, *, after_seq: int = 0, limit: int = 1000
    ) -> list[EventRecord]:
        if job_id not in self._jobs:
            return []
        if job_id not in self._cut:
            first = max(after_seq, 0)
            return self._events[job_id][first : first + max(limit, 0)]
        later = [event for event in self._events[job_id] if event.seq > after_seq]
        return later[: max(limit, 0)]

    async def newest_events(
        self, job_id: str, of: EventType, *, limit: int = 200
    ) -> list[EventRecord]:
        stored = [event for event in self._events.get(job_id, ()) if event.type is of]
        return stored[-limit:] if limit > 0 else []

    async def attempts(self, job_id: str) -> list[AttemptRecord]:
        return list(self._attempts[job_id]) if job_id in self._jobs else []

    async def relatives(self, job_id: str) -> Relatives:
        def related(
            pairs: Iterable[tuple[str, bool]],
        ) -> dict[str, tuple[bool, JobState]]:
            return {
                other: (needed, self._jobs[other].state)
                for other, needed in sorted(pairs)
            }

        return Relatives(
            parents=related(
                (edge.parent, edge.needs_success)
                for edge in self._edges
                if edge.child == job_id
            ),
            children=related(
                (edge.child, edge.needs_success)
                for edge in self._edges
                if edge.parent == job_id
            ),
        )

    async def counts(self, tenant: str | None = None) -> dict[JobState, int]:
        counts = dict.fromkeys(JobState, 0)
        for job in self._jobs.values():
            if tenant in (None, job.tenant):
                counts[job.state] += 1
        return counts

    async def oldest_queued_us(self) -> int | None:
        return min(
            (
                job.created_us
                for job in self._jobs.values()
                if job.state is JobState.QUEUED
            ),
            default=None,
        )

    # -- lease holders --
    async def claim(
        self, owner: str, *, kinds: Sequence[str], lease_s: float, limit: int = 1
    ) -> list[Claim]:
        now = self._now()
        due = [
            job
            for job in (self._jobs[job_id] for job_id in self._queued)
            if job.run_at_us <= now and job.kind in kinds
        ]
        due.sort(key=lambda job: (-job.priority, job.id))
        claims = []
        for job in due[: max(limit, 0)]:
            step = changes.claimed(job, owner=owner, lease_s=lease_s, now_us=now)
            claims.append(changes.claim_of(self._write(step, now) or step.job))
            self._attempts[job.id].append(
                AttemptRecord(
                    job_id=job.id,
                    number=step.job.attempt,
                    fence=step.job.fence,
                    worker=owner,
                    started_us=now,
                    ended_us=None,
                    outcome=None,
                )
            )
        return claims

    async def renew(self, job_id: str, fence: int, *, lease_s: float) -> Signals:
        now = self._now()
        job = self._held(job_id, fence)
        if (job.lease_until_us or 0) <= now:
            raise self._stale(job_id, fence)
        until = now + changes.microseconds(lease_s)
        self._jobs[job_id] = replace(job, lease_until_us=until, heartbeat_us=now)
        return Signals(
            stop_requested=job.stop_requested,
            cancel_requested=job.cancel_requested,
            lease_until_us=until,
        )

    async def append(self, job_id: str, fence: int, events: Sequence[NewEvent]) -> int:
        now = self._now()
        job = self._held(job_id, fence)
        plain = [
            NewEvent(type=event.type, data=codec.loads(codec.dumps(event.data)))
            for event in events
        ]
        step = changes.appended(job, plain, now)
        self._write(step, now)
        return step.job.last_seq

    async def put_checkpoint(self, job_id: str, fence: int, data: bytes) -> None:
        self._jobs[job_id] = replace(self._held(job_id, fence), has_checkpoint=True)
        self._checkpoints[job_id] = bytes(data)

    async def get_checkpoint(self, job_id: str) -> bytes | None:
        return self._checkpoints.get(job_id)

    async def complete(
        self, job_id: str, fence: int, completion: Completion
    ) -> JobRecord:
        now = self._now()
        job = self._held(job_id, fence)
        require_storable(jobs=completion.children, idempotency=None)
        plain, links = changes.plain_completion(completion), _MemoryLinks(self, now)
        started = plans.complete(job, plain, links, self._new_id, now)
        step = started.change
        if completion.checkpoint is not None and step.job.has_checkpoint:
            self._checkpoints[job_id] = bytes(completion.checkpoint)
        self._apply(step, now)
        self._insert(started.children, started.placed, now)
        if step.job.state.is_terminal:
            self._outputs[job_id] = tuple(dict.fromkeys(completion.artifacts))
        if completion.model is not None and step.job.state is JobState.SUCCEEDED:
            made = changes.registered(step.job, completion.model, now)
            self._models[made.id] = made
        return step.job

    async def sweep(
        self, *, limit: int = 100, resting_ttl_s: float = RESTING_TTL_S
    ) -> list[JobRecord]:
        now = self._now()
        self._keys = {
            name: key for name, key in self._keys.items() if key.expires_us > now
        }
        running = (self._jobs[job_id] for job_id in self._running)
        late = sorted(
            (job for job in running if (job.lease_until_us or 0) <= now),
            key=lambda j: (j.lease_until_us, j.id),
        )
        steps = [changes.expired(job, now) for job in late[: max(limit, 0)]]
        for step in steps:
            self._apply(step, now)
        since = now - changes.microseconds(resting_ttl_s)
        lapsed = sorted(
            (
                job
                for job in self._jobs.values()
                if job.state.is_resting and job.run_at_us <= since
            ),
            key=lambda job: (job.run_at_us, job.id),
        )
        for job in lapsed[: max(limit, 0)]:
            steps.append(changes.lapsed(job, now))
            self._apply(steps[-1], now)
        return [step.job for step in steps]

    async def stale_writes(self) -> int:
        return self._stale_writes

    def _held(self, job_id: str, fence: int) -> JobRecord:
        job = self._jobs.get(job_id)
        if job is None or not changes.is_holder(job, fence):
            raise self._stale(job_id, fence)
        return job

    def _stale(self, job_id: str, fence: int) -> StaleFence:
        self._stale_writes += 1
        return StaleFence(job_id, fence)

    # -- outbox --
    async def outbox_due(
        self, *, limit: int = 20, lock_s: float = 60.0
    ) -> list[OutboxRecord]:
        now = self._now()
        due = sorted(
            (row for row in self._outbox.values() if row.next_try_us <= now),
            key=lambda r: (r.next_try_us, r.id),
        )
        taken = [
            replace(row, next_try_us=now + changes.microseconds(lock_s))
            for row in due[: max(limit, 0)]
        ]
        self._outbox.update((row.id, row) for row in taken)
        return taken

    async def outbox_done(
        self,
        outbox_id: int,
        *,
        delivered: bool = True,
        detail: str = "",
        status_code: int | None = None,
    ) -> None:
        row = self._outbox.pop(outbox_id, None)
        if row is not None:
            state = "delivered" if delivered else "given up"
            self._record_delivery(row, state, row.tries + 1, detail, status_code)

    async def delivery(self, job_id: str) -> DeliveryRecord | None:
        return self._deliveries.get(job_id) if job_id in self._jobs else None

    def _record_delivery(
        self,
        row: OutboxRecord,
        state: str,
        tries: int,
        detail: str,
        status_code: int | None,
        next_try_us: int | None = None,
    ) -> None:
        if row.job_id in self._jobs:
            self._tried(row.job_id, codec.storable(detail)[:1000], status_code)
            self._deliveries[row.job_id] = DeliveryRecord(
                job_id=row.job_id,
                state=state,
                tries=tries,
                detail=codec.storable(detail)[:1000],
                at_us=self._now(),
                status_code=status_code,
                next_try_us=next_try_us,
            )

    # -- sessions --
    async def end_session(self, session_id: str, *, expires_us: int) -> None:
        self._ended_sessions = {
            i: until for i, until in self._ended_sessions.items() if until >= self._now()
        }
        self._ended_sessions[session_id] = expires_us

    async def session_ended(self, session_id: str) -> bool:
        return session_id in self._ended_sessions

    async def outbox_retry(
        self,
        outbox_id: int,
        *,
        delay_s: float,
        detail: str = "",
        status_code: int | None = None,
    ) -> None:
        row = self._outbox.get(outbox_id)
        if row is not None:
            next_try_us = self._now() + changes.microseconds(delay_s)
            self._outbox[outbox_id] = replace(
                row, tries=row.tries + 1, next_try_us=next_try_us
            )
            self._record_delivery(
                row, "waiting", row.tries + 1, detail, status_code, next_try_us
            )

    # -- artifacts and keys --
    async def put_artifact(self, artifact: ArtifactRecord) -> ArtifactRecord:
        detail = {"name": artifact.name, "size_bytes": artifact.size_bytes}
        self.note("file.store", artifact.digest, detail)
        return self._artifacts.setdefault((artifact.tenant, artifact.digest), artifact)

    async def get_artifact(
        self, digest: str, *, tenant: str | None = None
    ) -> ArtifactRecord:
        owned = [
            a
            for a in self._artifacts.values()
            if a.digest == digest and tenant in (None, a.tenant)
        ]
        if not owned:
            raise no_such_artifact(digest)
        return min(owned, key=lambda artifact: (artifact.created_us, artifact.tenant))

    async def artifact_bytes(self, tenant: str) -> int:
        return sum(a.size_bytes for a in self._artifacts.values() if a.tenant == tenant)

    async def unreferenced_artifacts(
        self, *, older_than_us: int, limit: int = 100
    ) -> list[ArtifactRecord]:
        used = self._referenced()
        old = [
            a
            for key, a in self._artifacts.items()
            if key not in used and a.created_us < older_than_us
        ]
        return sorted(old, key=lambda a: (a.created_us, a.digest, a.tenant))[
            : max(limit, 0)
        ]

    async def delete_artifact(self, digest: str, *, tenant: str) -> bool:
        if (tenant, digest) in self._referenced():
            return False
        self._artifacts.pop((tenant, digest), None)
        return all(artifact.digest != digest for artifact in self._artifacts.values())

    def _referenced(self) -> set[tuple[str, str]]:
        both: Iterable[tuple[str, tuple[str, ...]]] = (
            *self._inputs.items(),
            *self._outputs.items(),
        )
        by_models = {
            (model.tenant, digest)
            for model in self._models.values()
            if model.state is not ModelState.REJECTED
            for digest in (model.digest, model.picture)
            if digest is not None
        }
        return by_models | {
            (self._jobs[job_id].tenant, digest)
            for job_id, digests in both
            for digest in digests
        }

    # -- models --
    async def list_models(
        self, where: ModelFilter, *, limit: int, before_id: str | None = None
    ) -> list[ModelRecord]:
        found = [
            model
            for model in sorted(self._models.values(), key=lambda m: m.id, reverse=True)
            if where.tenant in (None, model.tenant)
            and where.target in (None, model.target)
            and (not where.states or model.state in where.states)
            and (before_id is None or model.id < before_id)
        ]
        return found[: max(0, limit)]

    async def get_model(self, model_id: str, *, tenant: str | None = None) -> ModelRecord:
        model = self._models.get(model_id)
        if model is None or tenant not in (None, model.tenant):
            raise no_such_model(model_id)
        return model

    async def retire_model(
        self, model_id: str, *, tenant: str | None = None
    ) -> ModelRecord:
        model = await self.get_model(model_id, tenant=tenant)
        require_retirable(model)
        self._models[model_id] = replace(model, state=ModelState.RETIRED)
        self.note("model.retire", model_id)
        return self._models[model_id]

    async def pin_models(
        self, job_id: str, fence: int, model_ids: Sequence[str]
    ) -> ModelPins:
        self._held(job_id, fence)
        known = await self.model_pins(job_id)
        if known.models is None:
            known = replace(known, models=tuple(model_ids))
            self._pinned[job_id] = known
        return known

    async def model_pins(self, job_id: str) -> ModelPins:
        return self._pinned.get(job_id, ModelPins())

    async def put_key(self, key: ApiKeyRecord) -> None:
        if key.id in self._api_keys:
            raise key_exists(key.id)
        self._api_keys[key.id] = replace(key, scopes=tuple(key.scopes))
        about = {"name": key.name, "tenant": key.tenant, "scopes": list(key.scopes)}
        self.note("key.create", key.id, about)

    async def get_key(self, key_id: str) -> ApiKeyRecord | None:
        return self._api_keys.get(key_id)

    async def list_keys(self, tenant: str | None = None) -> list[ApiKeyRecord]:
        keys = [key for key in self._api_keys.values() if tenant in (None, key.tenant)]
        return sorted(keys, key=lambda key: (key.created_us, key.id))

    async def revoke_key(self, key_id: str) -> None:
        if key_id not in self._api_keys:
            raise no_such_key(key_id)
        self._api_keys[key_id] = replace(self._api_keys[key_id], revoked=True)
        self.note("key.revoke", key_id)

    def _apply(self, step: changes.JobChange | None, now_us: int) -> JobRecord | None:
        """Write a change; if the job ended by it, its children follow."""
        job = self._write(step, now_us)
        if job is not None and job.state.is_terminal:
            graphs.settle([job], _MemoryLinks(self, now_us), now_us)
        return job

    # -- the one place that writes a step --
    def _write(self, step: changes.JobChange | None, now_us: int) -> JobRecord | None:
        if step is None:
            return None
        job = step.job
        self._jobs[job.id] = job
        self._cut.discard(job.id)
        for states, holds in (
            (self._queued, JobState.QUEUED),
            (self._running, JobState.RUNNING),
        ):
            (states.add if job.state is holds else states.discard)(job.id)
        first = job.last_seq - len(step.events) + 1
        self._events[job.id].extend(
            EventRecord(
                job_id=job.id, seq=seq, type=event.type, at_us=now_us, data=event.data
            )
            for seq, event in enumerate(step.events, first)
        )
        if step.outcome is not None:
            last = self._attempts[job.id][-1]
            self._attempts[job.id][-1] = replace(
                last, ended_us=now_us, outcome=step.outcome
            )
        if step.memo is not None:
            self._memos[job.id] = step.memo
        if step.drops_checkpoint:
            self._checkpoints.pop(job.id, None)
        if step.keeps:
            self._inputs[job.id] = tuple(
                dict.fromkeys((*self._inputs[job.id], *step.keeps))
            )
        if step.webhook is not None and job.webhook is not None:
            row = OutboxRecord(
                id=self._next_outbox,
                tenant=job.tenant,
                job_id=job.id,
                url=job.webhook["url"],
                payload=step.webhook,
                tries=0,
                next_try_us=now_us,
            )
            self._outbox[row.id] = row
            self._next_outbox += 1
            self._begin_delivery(job.id, now_us)
        self._count_work(step, now_us)
        return job

    def _newest_first(self) -> Iterable[JobRecord]:
        return sorted(self._jobs.values(), key=lambda job: job.id, reverse=True)


class _MemoryLinks:
    """`graphs.Links` on a `MemoryStore`."""

    def __init__(self, store: MemoryStore, now_us: int) -> None:
        self._store, self._now_us = store, now_us

    def edges_from(self, parents: Sequence[str]) -> list[Edge]:
        return [edge for edge in self._store._edges if edge.parent in parents]

    def edges_to(self, children: Sequence[str]) -> list[Edge]:
        return [edge for edge in self._store._edges if edge.child in children]

    def inputs_to(self, children: Sequence[str]) -> list[PendingInput]:
        return [
            file
            for file in self._store._awaited.values()
            if file.child in children and file.digest is None
        ]

    def read(self, job_ids: Sequence[str]) -> list[JobRecord]:
        return [self._store._jobs[job_id] for job_id in job_ids]

    def lock(self, job_ids: Sequence[str]) -> list[JobRecord]:
        return self.read(sorted(job_ids))

    def share(self, job_ids: Sequence[str]) -> list[JobRecord]:
        stored = self._store._jobs
        return [stored[job_id] for job_id in sorted(job_ids) if job_id in stored]

    def members(self, plan_id: str) -> list[str]:
        return sorted(
            job.id
            for job in self._store._jobs.values()
            if job.graph == plan_id != job.id and not job.state.is_terminal
        )

    def memo(self, job_id: str) -> MemoRecord | None:
        return self._store._memos.get(job_id)

    def states(self, job_ids: Sequence[str]) -> Mapping[str, JobState]:
        return {job.id: job.state for job in self.read(job_ids)}

    def write(
        self, written: Sequence[changes.JobChange], resolved: Sequence[PendingInput]
    ) -> None:
        for step in written:
            self._store._write(step, self._now_us)
        for file in resolved:
            self._store._awaited[file.child, tuple(file.path)] = file


def _place(job: JobRecord, order: JobOrder) -> tuple[Any, str]:
    value = position(job, order).value
    return (0 if value is None else value, job.id)


def _is_beyond(place: Position, after: Position, order: JobOrder) -> bool:
    """Return True if a job comes after the position of a page's end."""
    if (place.value is None) != (after.value is None):
        return place.value is None
    here: Any = (place.value or 0, place.id)
    there: Any = (after.value or 0, after.id)
    return bool(here < there if order.descending else here > there)


def _matches(job: JobRecord, where: JobFilter) -> bool:
    return (
        where.tenant in (None, job.tenant)
        and where.graph in (None, job.graph)
        and (not where.states or job.state in where.states)
        and (not where.kinds or job.kind in where.kinds)
        and matches_words(job, where)
        and all(job.labels.get(name) == value for name, value in where.labels.items())
        and (where.created_after_us is None or job.created_us >= where.created_after_us)
        and (where.created_before_us is None or job.created_us < where.created_before_us)
    )

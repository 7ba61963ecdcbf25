"""Housekeeping of `MemoryStore`: the plain reference of `services.store.upkeep.Upkeep`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.store import changes, codec
from services.store.refusals import (
    dead_key,
    file_in_use,
    no_such_artifact,
    no_such_key,
    nothing_to_send,
)
from services.store.types import ApiKeyRecord, DeliveryRecord, ModelState, OutboxRecord
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
from trimtab.results import EventType
from trimtab.upkeep import GRACE_S, RetentionReport, RetentionRule

DAY_US = 86_400_000_000


class MemoryUpkeep:
    """Retention, audit log, usage, deliveries, rotation of keys, on the dictionaries of a store."""

    _now: Callable[[], int]

    def __init__(self) -> None:
        self._rules: dict[str, RetentionRule] = {}
        self._turns: dict[str, int] = {}
        self._audit: list[AuditRecord] = []
        self._work: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._cut: set[str] = set()
        self._tries: dict[str, list[DeliveryAttemptRecord]] = defaultdict(list)

    async def tenants(self) -> list[str]:
        keys = {key.tenant for key in self._api_keys.values()}
        jobs = {job.tenant for job in self._jobs.values()}
        return sorted(keys | jobs | {tenant for tenant, _ in self._artifacts})

    async def take_turn(self, name: str, *, seconds: float) -> bool:
        if self._turns.get(name, 0) > self._now():
            return False
        self._turns[name] = self._now() + changes.microseconds(seconds)
        return True

    async def retention_rule(self, tenant: str) -> RetentionRule:
        return self._rules.get(tenant, RetentionRule())

    async def put_retention_rule(self, tenant: str, rule: RetentionRule) -> None:
        changed = rule.model_dump(mode="json", exclude_none=True)
        self._rules[tenant] = rule
        self.note("retention.set", tenant, {"rule": changed})

    def _ended(self, tenant: str) -> list[Any]:
        ended = [
            job
            for job in self._jobs.values()
            if job.tenant == tenant and job.finished_us is not None
        ]
        return sorted(ended, key=lambda job: (job.finished_us, job.id))

    def _files(self, tenant: str) -> list[Any]:
        mine = [file for (owner, _), file in self._artifacts.items() if owner == tenant]
        return sorted(mine, key=lambda file: (file.created_us, file.digest))

    async def cutoffs(self, tenant: str, rule: RetentionRule) -> Cutoffs:
        jobs = self._ended(tenant)
        of_states = [
            job for job in jobs if rule.job_states is None or job.state in rule.job_states
        ]
        uncut = [job for job in jobs if job.id not in self._cut]
        files = self._files(tenant)
        at_job = [(job.finished_us, job.id) for job in of_states]
        at_uncut = [(job.finished_us, job.id) for job in uncut]
        at_file = [(file.created_us, file.digest) for file in files]
        sizes = [file.size_bytes for file in files]
        seqs = [job.last_seq for job in uncut]
        return Cutoffs(
            jobs=self._limit(
                rule.job_days, [(at_job, [1] * len(at_job), rule.job_count)]
            ),
            events=self._limit(rule.event_days, [(at_uncut, seqs, rule.event_count)]),
            files=self._limit(
                rule.file_days,
                [
                    (at_file, [1] * len(at_file), rule.file_count),
                    (at_file, sizes, rule.file_bytes),
                ],
            ),
        )

    def _limit(
        self, days: float | None, counts: list[tuple[list[Place], list[int], int | None]]
    ) -> Place | None:
        found = [] if days is None else [(self._now() - round(days * DAY_US), "")]
        for places, sizes, most in counts:
            total = 0
            for place, size in zip(reversed(places), reversed(sizes), strict=True):
                total += size
                if most is not None and total > most:
                    found.append(place)
                    break
        recent = (self._now() - changes.microseconds(GRACE_S), "")
        return min(max(found), recent) if found else None

    def _waited_for(self, job_id: str) -> bool:
        return any(
            edge.parent == job_id and not self._jobs[edge.child].state.is_terminal
            for edge in self._edges
        )

    def _doomed(self, tenant: str, rule: RetentionRule, until: Place) -> list[Any]:
        return [
            job
            for job in self._ended(tenant)
            if (job.finished_us, job.id) <= until
            and (rule.job_states is None or job.state in rule.job_states)
        ]

    async def preview(
        self, tenant: str, rules: Sequence[RetentionRule]
    ) -> RetentionReport:
        jobs, kept, cut, files, kept_files = set(), set(), set(), set(), set()
        for rule in rules:
            limits = await self.cutoffs(tenant, rule)
            for job in self._doomed(tenant, rule, limits.jobs) if limits.jobs else ():
                (kept if self._waited_for(job.id) else jobs).add(job.id)
            for job in self._ended(tenant) if limits.events else ():
                if job.id not in self._cut and (job.finished_us, job.id) <= limits.events:
                    cut.add(job.id)
            for file in self._files(tenant) if limits.files else ():
                if (file.created_us, file.digest) <= limits.files:
                    used = self._user_of(tenant, file.digest)
                    (files if used is None else kept_files).add(file.digest)
        events = sum(len(self._events[job_id]) for job_id in jobs) + sum(
            event.type is not EventType.STATE
            for job_id in cut - jobs
            for event in self._events[job_id]
        )
        return RetentionReport(
            tenant=tenant,
            dry_run=True,
            complete=True,
            jobs=len(jobs),
            events=events,
            files=len(files),
            file_bytes=sum(self._artifacts[tenant, one].size_bytes for one in files),
            protected_jobs=len(kept),
            protected_files=len(kept_files),
        )

    async def drop_jobs(
        self, tenant: str, rule: RetentionRule, until: Place, after: Place, *, rows: int
    ) -> Step:
        jobs = events = protected = 0
        for job in self._doomed(tenant, rule, until):
            if (job.finished_us, job.id) <= after:
                continue
            if self._waited_for(job.id):
                protected += 1
                continue
            events += len(self._events[job.id])
            jobs += 1
            self._erase(job.id)
        return Step(after=until, done=True, jobs=jobs, events=events, protected=protected)

    async def cut_events(
        self, tenant: str, until: Place, after: Place, *, rows: int
    ) -> Step:
        events = 0
        for job in self._ended(tenant):
            if (job.finished_us, job.id) <= until and job.id not in self._cut:
                states = [
                    event
                    for event in self._events[job.id]
                    if event.type is EventType.STATE
                ]
                events += len(self._events[job.id]) - len(states)
                self._events[job.id] = states
                self._cut.add(job.id)
        return Step(after=until, done=True, events=events)

    async def drop_files(
        self, tenant: str, until: Place, after: Place, *, rows: int
    ) -> Step:
        files = size = protected = 0
        orphans = []
        for file in self._files(tenant):
            if not after < (file.created_us, file.digest) <= until:
                continue
            if self._user_of(tenant, file.digest) is not None:
                protected += 1
                continue
            files += 1
            size += file.size_bytes
            if self._remove_file(tenant, file.digest):
                orphans.append(file.digest)
        return Step(
            after=until,
            done=True,
            files=files,
            file_bytes=size,
            protected=protected,
            orphans=tuple(orphans),
        )

    def _user_of(self, tenant: str, digest: str) -> str | None:
        for held in (self._inputs, self._outputs):
            for job_id, digests in held.items():
                job = self._jobs[job_id]
                live = not job.state.is_terminal or self._waited_for(job_id)
                if job.tenant == tenant and digest in digests and live:
                    return job_id
        for model in self._models.values():
            mine = model.tenant == tenant and model.state is not ModelState.REJECTED
            if mine and digest in (model.digest, model.picture):
                return model.id
        return None

    def _remove_file(self, tenant: str, digest: str) -> bool:
        for held in (self._inputs, self._outputs):
            for job_id, digests in held.items():
                if self._jobs[job_id].tenant == tenant:
                    held[job_id] = tuple(one for one in digests if one != digest)
        del self._artifacts[tenant, digest]
        return all(one != digest for _, one in self._artifacts)

    async def drop_audit(self, *, before_us: int, rows: int) -> int:
        old = [entry for entry in self._audit if entry.at_us < before_us][:rows]
        self._audit = self._audit[len(old) :]
        return len(old)

    async def list_files(
        self, tenant: str, *, limit: int, before: Place | None = None
    ) -> list[StoredFile]:
        newest = [
            StoredFile(
                record=file,
                used_us=file.created_us,
                in_use=self._user_of(tenant, file.digest) is not None,
            )
            for file in reversed(self._files(tenant))
            if before is None or (file.created_us, file.digest) < before
        ]
        return newest[:limit]

    async def drop_file(self, digest: str, *, tenant: str) -> bool:
        if (tenant, digest) not in self._artifacts:
            raise no_such_artifact(digest)
        user = self._user_of(tenant, digest)
        if user is not None:
            raise file_in_use(digest, user)
        self.note("file.delete", digest)
        return self._remove_file(tenant, digest)

    async def unknown_files(self, digests: Sequence[str]) -> list[str]:
        known = {digest for _, digest in self._artifacts}
        return [digest for digest in digests if digest not in known]

    def note(
        self, action: str, target: str = "", detail: Mapping[str, Any] | None = None
    ) -> None:
        """Write an entry as the caller of this request."""
        actor = acting.get()
        if actor is not None:
            self._append(Deed(action=action, target=target, detail=detail or {}), actor)

    def _append(self, deed: Deed, actor: Actor) -> None:
        self._audit.append(
            AuditRecord(
                id=self._audit[-1].id + 1 if self._audit else 1,
                at_us=self._now(),
                tenant=actor.tenant,
                key_id=actor.key_id,
                action=deed.action,
                target=deed.target,
                address=actor.address,
                agent=actor.agent,
                detail=codec.loads(codec.dumps(dict(deed.detail))),
            )
        )

    async def audit(self, deed: Deed, *, actor: Actor | None = None) -> None:
        actor = actor or acting.get()
        if actor is not None:
            self._append(deed, actor)

    async def list_audit(
        self, where: AuditFilter, *, limit: int, before_id: int | None = None
    ) -> list[AuditRecord]:
        def fits(entry: AuditRecord) -> bool:
            family = f"{where.action}."
            return (
                (before_id is None or entry.id < before_id)
                and where.tenant in (None, entry.tenant)
                and where.key_id in (None, entry.key_id)
                and where.target in (None, entry.target)
                and (
                    where.action in (None, entry.action)
                    or entry.action.startswith(family)
                )
                and (where.after_us is None or entry.at_us >= where.after_us)
                and (where.before_us is None or entry.at_us < where.before_us)
            )

        return [entry for entry in reversed(self._audit) if fits(entry)][:limit]

    async def usage(self, tenant: str) -> tuple[Mapping[str, WorkDone], int, int, int]:
        kinds = {
            kind: WorkDone(
                jobs=work["jobs"], attempts=work["attempts"], busy_us=work["busy_us"]
            )
            for (owner, kind), work in self._work.items()
            if owner == tenant
        }
        events = sum(
            job.last_seq
            for job in self._jobs.values()
            if job.tenant == tenant and job.id not in self._cut
        )
        files = self._files(tenant)
        return kinds, events, len(files), sum(file.size_bytes for file in files)

    async def list_deliveries(
        self,
        *,
        tenant: str | None,
        states: Sequence[str],
        limit: int,
        before_job: str | None = None,
    ) -> list[Delivered]:
        found = []
        for job_id in sorted(self._deliveries, reverse=True):
            record, job = self._deliveries[job_id], self._jobs.get(job_id)
            if job is None or tenant not in (None, job.tenant):
                continue
            if states and record.state not in states:
                continue
            if before_job is None or job_id < before_job:
                url = str((job.webhook or {}).get("url", ""))
                found.append(Delivered(record=record, url=url))
        return found[:limit]

    async def delivery_attempts(self, job_id: str) -> list[DeliveryAttemptRecord]:
        return list(self._tries[job_id])[-50:]

    async def resend(self, job_id: str, *, tenant: str | None = None) -> None:
        job = await self.get(job_id, tenant=tenant)
        payload = changes.webhook_payload(job)
        if job.webhook is None or payload is None or not job.state.is_terminal:
            raise nothing_to_send(job)
        now = self._now()
        waiting = [row for row in self._outbox.values() if row.job_id == job_id]
        for row in waiting:
            self._outbox[row.id] = replace(row, tries=0, next_try_us=now)
        if not waiting:
            self._outbox[self._next_outbox] = OutboxRecord(
                id=self._next_outbox,
                tenant=job.tenant,
                job_id=job_id,
                url=job.webhook["url"],
                payload=payload,
                tries=0,
                next_try_us=now,
            )
            self._next_outbox += 1
        self._begin_delivery(job_id, now)
        self.note("webhook.resend", job_id)

    def _begin_delivery(self, job_id: str, now: int) -> None:
        self._deliveries[job_id] = DeliveryRecord(
            job_id=job_id, state="waiting", tries=0, detail="", at_us=now, next_try_us=now
        )

    def _tried(self, job_id: str, detail: str, status_code: int | None) -> None:
        number = self._tries[job_id][-1].number + 1 if self._tries[job_id] else 1
        self._tries[job_id].append(
            DeliveryAttemptRecord(
                number=number, at_us=self._now(), status_code=status_code, detail=detail
            )
        )

    def _count_work(self, step: changes.JobChange, now_us: int) -> None:
        job = step.job
        work = self._work[job.tenant, job.kind]
        if step.outcome is not None:
            started = self._attempts[job.id][-1].started_us
            work["attempts"] += 1
            work["busy_us"] += max(0, now_us - started)
        work["jobs"] += job.finished_us == now_us and job.state.is_terminal

    async def rotate_key(
        self, key_id: str, *, new_sha256: str, overlap_s: float
    ) -> ApiKeyRecord:
        key = self._api_keys.get(key_id)
        if key is None:
            raise no_such_key(key_id)
        if key.revoked:
            raise dead_key(key_id, "was revoked")
        if key.expires_us is not None and key.expires_us <= self._now():
            raise dead_key(key_id, "has expired")
        self._api_keys[key_id] = replace(
            key,
            secret_sha256=new_sha256,
            old_sha256=key.secret_sha256,
            old_until_us=self._now() + changes.microseconds(overlap_s),
        )
        self.note("key.rotate", key_id, {"overlap_s": overlap_s})
        return self._api_keys[key_id]

    async def touch_keys(self, used_us: Mapping[str, int]) -> None:
        for key_id, used in used_us.items():
            key = self._api_keys.get(key_id)
            if key is not None and (key.last_used_us or 0) < used:
                self._api_keys[key_id] = replace(key, last_used_us=used)

"""Retention: apply the rules of operator and tenants in small transactions, with pauses.

A transaction works for about `TARGET_S`; the pause after it is at least as long, so that a submit
never waits for more than one of them. Every rule is read, and every limit computed, by the clock of
the database. A run ends when that clock has jumped against this machine's monotonic clock: a wrong
time must not delete a year of jobs.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from services.dispatcher.gc import remove_bytes
from services.store.blobs import BlobStore
from services.store.upkeep import START, Place, ServiceStore, Step
from services.telemetry import Metrics
from trimtab.upkeep import RetentionReport, RetentionRule

log = structlog.get_logger("trimtab.retention")

TARGET_S = 0.008  # of work in one transaction
FEWEST_ROWS, FIRST_ROWS, MOST_ROWS = 20, 200, 2_000
PAUSE_S = 0.004  # at least, between transactions
SKEW_S = 300.0  # of the two clocks, before a run ends
TURN = "retention"


class Take(Protocol):
    """A step of retention: remove what lies behind a place, at most about `rows` rows."""

    def __call__(self, after: Place, *, rows: int) -> Awaitable[Step]:
        """Return what was removed, and where the next step begins."""
        ...


class ClockJumped(RuntimeError):
    """The database's clock moved against this machine's monotonic clock."""


@dataclass
class Clocks:
    """Compares the database's clock with the monotonic clock since they were first read."""

    store: ServiceStore
    start_us: int | None = None
    start_s: float = 0.0

    async def begin(self) -> None:
        """Read both clocks."""
        self.start_us, self.start_s = await self.store.now_us(), time.monotonic()

    async def check(self) -> None:
        """Raise ClockJumped if they have come apart by more than `SKEW_S` since they were read."""
        if self.start_us is None:
            await self.begin()
            return
        passed_s = (await self.store.now_us() - self.start_us) / 1e6
        skew_s = passed_s - (time.monotonic() - self.start_s)
        if abs(skew_s) > SKEW_S:
            await self.begin()
            raise ClockJumped(
                f"the database's clock moved by {skew_s:.0f} s against the machine's; nothing is "
                "removed now. Check the time of the host (timedatectl)"
            )


class Retention:
    """Applies rules to the jobs, events and files of tenants."""

    def __init__(
        self,
        store: ServiceStore,
        blobs: BlobStore,
        *,
        server: RetentionRule,
        metrics: Metrics | None = None,
    ) -> None:
        metrics = metrics or Metrics()
        self._removed = metrics.retained
        self._store = store
        self._blobs = blobs
        self._server = server
        self.clocks = Clocks(store)
        self._rows: Counter[str] = Counter()  # of the next step, by what it removes

    async def rules(self, tenant: str) -> list[RetentionRule]:
        """Return the rules that hold for a tenant; each is applied by itself."""
        rules = [self._server, await self._store.retention_rule(tenant)]
        return [rule for rule in rules if not rule.is_empty]

    async def run(self, tenant: str, *, within_s: float | None = None) -> RetentionReport:
        """Apply the rules of a tenant. Raises ClockJumped.

        within_s: time limit; the report of a run that reached it is not `complete`.
        """
        deadline = None if within_s is None else time.monotonic() + within_s
        await self.clocks.check()
        done: Counter[str] = Counter()
        complete = True
        for rule in await self.rules(tenant):
            for name, take in await self._passes(tenant, rule):
                complete &= await self._walk(name, take, done, deadline)
        return RetentionReport(
            tenant=tenant,
            dry_run=False,
            complete=complete,
            jobs=done["jobs"],
            events=done["events"],
            files=done["files"],
            file_bytes=done["file_bytes"],
            protected_jobs=done["protected jobs"],
            protected_files=done["protected files"],
        )

    async def _passes(
        self, tenant: str, rule: RetentionRule
    ) -> Sequence[tuple[str, Take]]:
        store, cut = self._store, await self._store.cutoffs(tenant, rule)
        # A jump after the check above would be in the limits.
        await self.clocks.check()
        passes: list[tuple[str, Take]] = []
        if cut.jobs is not None:
            passes.append(("jobs", partial(store.drop_jobs, tenant, rule, cut.jobs)))
        if cut.events is not None:
            passes.append(("events", partial(store.cut_events, tenant, cut.events)))
        if cut.files is not None:
            passes.append(("files", partial(store.drop_files, tenant, cut.files)))
        return passes

    async def _walk(
        self, name: str, take: Take, done: Counter[str], deadline: float | None
    ) -> bool:
        """Take steps until nothing is left; False at the deadline."""
        after = START
        while True:
            if deadline is not None and time.monotonic() >= deadline:
                return False
            step = await self._fitted(name, take, after)
            for field in ("jobs", "events", "files", "file_bytes"):
                removed = getattr(step, field)
                done[field] += removed
                self._removed.labels(field).inc(removed)
            done[f"protected {name}"] += step.protected
            for digest in step.orphans:
                await remove_bytes(self._store, self._blobs, digest)
            if step.done:
                return True
            after = step.after

    async def _fitted(self, name: str, take: Take, after: Place) -> Step:
        """Take a step, pause, and fit the size of the next one to `TARGET_S`."""
        rows = self._rows[name] or FIRST_ROWS
        step = await take(after, rows=rows)
        if step.took_s > TARGET_S:
            rows = max(FEWEST_ROWS, rows // 2)
        elif step.took_s < TARGET_S / 2:
            rows = min(MOST_ROWS, rows + rows // 4)
        self._rows[name] = rows
        await asyncio.sleep(max(PAUSE_S, step.took_s))
        return step

    async def run_all(self, *, audit_days: float) -> list[RetentionReport]:
        """Apply the rules of every tenant, then shorten the audit log."""
        await self.clocks.check()
        reports = []
        for tenant in await self._store.tenants():
            report = await self.run(tenant)
            if report.jobs or report.events or report.files:
                log.info("retention", **report.model_dump(exclude={"dry_run"}))
                reports.append(report)
        await self._shorten_audit(audit_days)
        return reports

    async def _shorten_audit(self, days: float) -> None:
        before_us = await self._store.now_us() - round(days * 86_400e6)

        async def take(after: Place, *, rows: int) -> Step:
            removed = await self._store.drop_audit(before_us=before_us, rows=rows)
            return Step(after=after, done=removed == 0)

        await self._walk("audit", take, Counter(), None)

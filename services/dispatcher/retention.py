"""Retention: apply the rules of operator and tenants in small transactions, with pauses.

A transaction takes about `TARGET_S`; the pause after it is at least as long, so that a submit never
waits for more than one of them. Every rule is read, and every limit computed, by the clock of the
database. A run ends when that clock has jumped against this machine's monotonic clock: a wrong time
must not delete a year of jobs.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from services.store.blobs import BlobStore
from services.store.upkeep import START, Place, ServiceStore, Step
from trimtab.upkeep import RetentionReport, RetentionRule

log = structlog.get_logger("trimtab.retention")

TARGET_S = 0.008  # of one transaction
FEWEST_ROWS, MOST_ROWS = 20, 2_000
PAUSE_S = 0.004  # at least, between transactions
SKEW_S = 300.0  # of the two clocks, before a run ends
TURN = "retention"

Take = Callable[[Place, int], Awaitable[Step]]


class ClockJumped(RuntimeError):
    """The database's clock moved against this machine's monotonic clock."""


@dataclass
class Clocks:
    """Compares the database's clock with the monotonic clock since this object was made."""

    store: ServiceStore
    start_us: int
    start_s: float

    @classmethod
    async def begin(cls, store: ServiceStore) -> Clocks:
        """Read both clocks."""
        return cls(store, await store.now_us(), time.monotonic())

    async def check(self) -> None:
        """Raise ClockJumped if they have come apart by more than `SKEW_S`."""
        passed_s = (await self.store.now_us() - self.start_us) / 1e6
        skew_s = passed_s - (time.monotonic() - self.start_s)
        if abs(skew_s) > SKEW_S:
            self.start_us, self.start_s = await self.store.now_us(), time.monotonic()
            raise ClockJumped(
                f"the database's clock moved by {skew_s:.0f} s against the machine's; nothing is "
                "removed now. Check the time of the host (timedatectl)"
            )


class Retention:
    """Applies rules to the jobs, events and files of tenants."""

    def __init__(
        self, store: ServiceStore, blobs: BlobStore, *, server: RetentionRule
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._server = server
        self._rows = 200
        self._clocks: Clocks | None = None

    async def rules(self, tenant: str) -> list[RetentionRule]:
        """Return the rules that hold for a tenant; each is applied by itself."""
        rules = [self._server, await self._store.retention_rule(tenant)]
        return [rule for rule in rules if not rule.is_empty]

    async def run(self, tenant: str, *, within_s: float | None = None) -> RetentionReport:
        """Apply the rules of a tenant. Raises ClockJumped.

        within_s: time limit; the report of a run that reached it is not `complete`.
        """
        deadline = None if within_s is None else time.monotonic() + within_s
        if self._clocks is None:
            self._clocks = await Clocks.begin(self._store)
        await self._clocks.check()
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
        passes: list[tuple[str, Take]] = []
        if (jobs := cut.jobs) is not None:
            passes.append(
                (
                    "jobs",
                    lambda after, rows: store.drop_jobs(
                        tenant, rule, jobs, after, rows=rows
                    ),
                )
            )
        if (events := cut.events) is not None:
            passes.append(
                (
                    "events",
                    lambda after, rows: store.cut_events(
                        tenant, events, after, rows=rows
                    ),
                )
            )
        if (files := cut.files) is not None:
            passes.append(
                (
                    "files",
                    lambda after, rows: store.drop_files(tenant, files, after, rows=rows),
                )
            )
        return passes

    async def _walk(
        self, name: str, take: Take, done: Counter[str], deadline: float | None
    ) -> bool:
        """Take steps until nothing is left; False at the deadline."""
        after = START
        while True:
            if deadline is not None and time.monotonic() >= deadline:
                return False
            step = await self._timed(take, after)
            for field in ("jobs", "events", "files", "file_bytes"):
                done[field] += getattr(step, field)
            done[f"protected {name}"] += step.protected
            for digest in step.orphans:
                await self._discard(digest)
            if step.done:
                return True
            after = step.after

    async def _timed(self, take: Take, after: Place) -> Step:
        """Take a step, pause, and fit the size of the next one to `TARGET_S`."""
        began = time.monotonic()
        step = await take(after, self._rows)
        took_s = time.monotonic() - began
        if took_s > TARGET_S:
            self._rows = max(FEWEST_ROWS, self._rows // 2)
        elif took_s < TARGET_S / 2:
            self._rows = min(MOST_ROWS, self._rows + self._rows // 4)
        await asyncio.sleep(max(PAUSE_S, took_s))
        return step

    async def _discard(self, digest: str) -> None:
        await asyncio.to_thread(self._blobs.discard, digest)

    async def run_all(self, *, audit_days: float) -> list[RetentionReport]:
        """Apply the rules of every tenant, then shorten the audit log."""
        reports = []
        for tenant in await self._store.tenants():
            report = await self.run(tenant)
            if report.jobs or report.events or report.files:
                log.info("retention", **report.model_dump(exclude={"dry_run"}))
                reports.append(report)
        before_us = await self._store.now_us() - round(audit_days * 86_400e6)
        while await self._store.drop_audit(before_us=before_us, rows=self._rows):
            await asyncio.sleep(PAUSE_S)
        return reports

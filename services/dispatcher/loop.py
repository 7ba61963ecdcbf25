"""The dispatcher: claim jobs while the executor has capacity, run attempts, sweep expired leases.

Several dispatchers may share a PostgreSQL store; with SQLite there is one, in the process of
the gateway. A dispatcher has no state beside the store: if it is killed, another one takes over
when its leases expire.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from search.kinds import Kind
from services import tenancy
from services.bus import QUEUE, Bus, wait_for
from services.dispatcher.attempt import run_attempt
from services.dispatcher.context import DispatchContext
from services.dispatcher.figures import observe_claim
from services.dispatcher.gc import collect_garbage
from services.dispatcher.retention import TURN, ClockJumped, Retention
from services.dispatcher.webhooks import OutboxSender
from services.errors import ServiceError
from services.settings import Settings
from services.store.blobs import BlobStore
from services.store.types import Claim
from services.store.upkeep import ServiceStore
from services.telemetry import Metrics
from workers.retry import Backoff
from workers.types import Executor, TaskLimits

log = structlog.get_logger("trimtab.dispatcher")
GARBAGE_EVERY_S = 300.0
# After `stop`, reading and exactly checking a large model takes a second or two.
STOP_GRACE_S = 10.0
# Without a wake-up: for jobs that other processes submitted, and retries that become due.
CLAIM_POLL_S = 0.5


class Dispatcher:
    """Runs the jobs of a store on an executor between `start` and `close`."""

    def __init__(
        self,
        *,
        store: ServiceStore,
        executor: Executor,
        blobs: BlobStore,
        bus: Bus,
        kinds: Mapping[str, Kind],
        settings: Settings,
        metrics: Metrics | None = None,
        retention: Retention | None = None,
        owner: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.owner = owner or f"{socket.gethostname()}:{os.getpid()}"
        self._store = store
        self._executor = executor
        self._bus = bus
        self._kinds = kinds
        self._settings = settings
        self._rng = random.Random(seed)
        self._metrics = metrics or Metrics()
        self._context = DispatchContext(
            store=store,
            executor=executor,
            blobs=blobs,
            bus=bus,
            limits=TaskLimits(
                memory_bytes=settings.job_memory_bytes, grace_s=STOP_GRACE_S
            ),
            site=settings.site,
            lease_s=settings.lease_s,
            heartbeat_s=settings.heartbeat_s,
            signal_poll_s=settings.heartbeat_s
            if store.dialect != "postgresql"
            else min(1.0, settings.heartbeat_s),
            backoff=Backoff(),
            rng=self._rng,
            kinds=kinds,
            webhook_hosts=settings.webhook_allowed_hosts,
            max_queued_jobs=settings.max_queued_jobs,
            metrics=self._metrics,
        )
        self._retention = retention or Retention(
            store, blobs, server=settings.retention, metrics=self._metrics
        )
        self._sender = OutboxSender(store=store, settings=settings, metrics=self._metrics)
        self._attempts: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._closing = False
        self._refusal = ""  # reason why no job is claimed

    async def start(self) -> None:
        """Start claiming, sweeping, sending webhooks and collecting garbage."""
        if gap := tenancy.gaps(self._executor.describe()):
            log.warning("sandbox does not protect files", reason=gap)
        self._loops = [
            asyncio.create_task(self._claim_forever(), name="claim"),
            asyncio.create_task(
                self._every(self._settings.sweep_s, self._sweep), name="sweep"
            ),
            asyncio.create_task(self._every(1.0, self._sender.send_due), name="webhooks"),
            asyncio.create_task(
                self._every(GARBAGE_EVERY_S, self._garbage), name="garbage"
            ),
            asyncio.create_task(
                self._every(self._settings.retention_every_s, self._retain),
                name="retention",
            ),
        ]

    async def close(self) -> None:
        """Stop claiming, kill the runs and return their jobs to the queue."""
        self._closing = True
        claiming, *others = self._loops or [asyncio.create_task(asyncio.sleep(0))]
        # Woken, not cancelled: a claim that the store has just granted must not be lost.
        self._bus.notify(QUEUE)
        await asyncio.wait({claiming}, timeout=5.0)
        for loop in (claiming, *others):
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        for attempt in list(self._attempts):
            attempt.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)
        await self._sender.close()

    @property
    def alive(self) -> bool:
        """True while every loop runs; False also after `close`."""
        return (
            bool(self._loops)
            and not self._closing
            and not any(loop.done() for loop in self._loops)
        )

    def describe(self) -> Mapping[str, Any]:
        """Describe the dispatcher for `/readyz` and the workers page."""
        return {
            "owner": self.owner,
            "alive": self.alive,
            "running": len(self._attempts),
            "refusal": self._refusal,
            "kinds": sorted(self._kinds),
            "executor": dict(self._executor.describe()),
        }

    async def _claim_forever(self) -> None:
        with self._bus.listen(QUEUE) as changed:
            while not self._closing:
                changed.clear()
                try:
                    claims = await self._claim()
                except ServiceError as error:
                    log.warning("claim failed; retrying", error=str(error))
                    await self._pause(error.retry_after_s or 1.0)
                    continue
                except Exception:
                    # An unexpected error must not end the loop: no job would run any more.
                    log.exception("claim raised; retrying")
                    await self._pause(1.0)
                    continue
                for claim in claims or ():
                    self._begin(claim)
                if claims is None:
                    await self._pause(1.0)
                elif not claims and not self._closing:
                    await wait_for(changed, CLAIM_POLL_S)

    async def _claim(self) -> list[Claim] | None:
        """Claim as many jobs as there is capacity for; None while running jobs is refused."""
        free = self._executor.capacity - len(self._attempts)
        if free <= 0:
            return []
        if await self._refuses():
            return None
        return await self._store.claim(
            self.owner,
            kinds=tuple(self._kinds),
            lease_s=self._settings.lease_s,
            limit=free,
        )

    async def _refuses(self) -> bool:
        """Return True while running jobs would let a tenant read the files of another."""
        refusal = await tenancy.refusal_to_run(self._store, self._executor.describe())
        if refusal and refusal != self._refusal:
            log.error("jobs stay queued", reason=refusal)
        self._refusal = refusal
        return bool(refusal)

    async def _pause(self, seconds: float) -> None:
        if not self._closing:
            await asyncio.sleep(seconds)

    def _begin(self, claim: Claim) -> None:
        log.info(
            "job claimed",
            job=claim.job.id,
            kind=claim.job.kind,
            attempt=claim.job.attempt,
            fence=claim.fence,
        )
        self._bus.notify(claim.job.id)
        observe_claim(self._metrics, claim, self._settings.lease_s)
        attempt = asyncio.create_task(
            run_attempt(self._context, claim, self._kinds[claim.job.kind])
        )
        self._attempts.add(attempt)
        attempt.add_done_callback(self._ended)

    def _ended(self, attempt: asyncio.Task[None]) -> None:
        self._attempts.discard(attempt)
        self._bus.notify(QUEUE)  # there is capacity again
        if not attempt.cancelled() and attempt.exception() is not None:
            # A bug here: the lease will expire and the job will be retried.
            log.error("attempt raised", exc_info=attempt.exception())

    async def _sweep(self) -> None:
        ttl_s = self._settings.resting_ttl_s
        for job in await self._store.sweep(resting_ttl_s=ttl_s):
            log.warning("taken back", job=job.id, state=job.state.value)
            self._bus.notify(job.id)
            self._bus.notify(QUEUE)

    async def _garbage(self) -> None:
        blobs = self._context.blobs
        await collect_garbage(self._store, blobs, ttl_s=self._settings.artifact_ttl_s)

    async def _retain(self) -> None:
        """Apply retention, in one of the dispatchers that share the store."""
        every_s = self._settings.retention_every_s
        if not await self._store.take_turn(TURN, seconds=every_s / 2):
            return
        try:
            days = self._settings.retention_audit_days
            await self._retention.run_all(audit_days=days)
        except ClockJumped as error:
            log.error("retention ended", reason=str(error))

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat `work`, with jitter so that several dispatchers do not sweep in step."""
        while True:
            await asyncio.sleep(seconds * self._rng.uniform(0.7, 1.3))
            try:
                await work()
            except ServiceError as error:
                log.warning("housekeeping failed; retrying later", error=str(error))
            except Exception:
                # An unexpected error must not end the loop: no lease would be swept any more.
                log.exception("housekeeping raised; retrying later")

"""One attempt, from claim to recorded end: run it, renew its lease, store events and checkpoints.

Every write carries the fence of the claim. The first StaleFence means that the lease has moved
on: the execution is cancelled and the attempt forgotten, because another attempt counts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import structlog

from search.kinds import Kind
from services.bus import wait_for
from services.dispatcher.context import LAST_WRITE_S, DispatchContext
from services.dispatcher.recording import hand_back, outcome_of, record
from services.dispatcher.starting import (
    CancelledByOwner,
    announce_slow_start,
    discard,
    refusal_outcome,
    task_of,
    wait_for_start,
)
from services.errors import NotFound, ServiceError, StaleFence, StoreUnavailable
from services.store.types import Claim, NewEvent
from trimtab.results import EventType, Reason
from workers.retry import RETRIED
from workers.types import Execution, Outcome, OutcomeStatus

log = structlog.get_logger("trimtab.dispatcher")
# Events kept while the store is unavailable; a run reports some ten per second at most.
MAX_WAITING = 2_000
# From an incumbent to the write of its checkpoint, and between two writes.
CHECKPOINT_S = 1.0


async def run_attempt(context: DispatchContext, claim: Claim, kind: Kind) -> None:
    """Run an attempt and record its end. Never raises for what the job did."""
    try:
        task = await task_of(context, claim, kind)
    except (ServiceError, OSError, ValueError) as error:
        await record(context, claim, refusal_outcome(error))
        return
    # A task of its own: an interrupted start would leave an orphaned child.
    starting = asyncio.create_task(context.executor.start(task))
    announcing = asyncio.create_task(announce_slow_start(context, claim))
    try:
        await _attempt(context, claim, starting, announcing)
    finally:
        announcing.cancel()


async def _attempt(
    context: DispatchContext,
    claim: Claim,
    starting: asyncio.Task[Execution],
    announcing: asyncio.Task[None],
) -> None:
    """Wait for the start, and run the attempt; `announcing` ends at the run's first event."""
    try:
        execution = await wait_for_start(context, claim, starting)
    except StaleFence:
        log.warning(
            "lease moved on before the run began", job=claim.job.id, fence=claim.fence
        )
        await discard(starting)
        return
    except CancelledByOwner:
        # The end is recorded at once; the process that is still starting is closed later.
        cancelled = outcome_of(
            OutcomeStatus.CANCELLED,
            Reason.CANCELLED,
            "cancelled by its owner before the run began",
        )
        await asyncio.gather(record(context, claim, cancelled), discard(starting))
        return
    except asyncio.CancelledError:
        await asyncio.gather(hand_back(context, claim), discard(starting))
        raise
    except Exception as error:
        # For example no memory to fork: not the job's fault, so another attempt may succeed.
        log.warning("attempt could not start", job=claim.job.id, error=repr(error))
        failure = outcome_of(
            OutcomeStatus.TRANSIENT,
            Reason.WORKER_LOST,
            f"no worker could be started: {error}",
        )
        await record(context, claim, failure)
        return
    try:
        await _Attempt(context, claim, execution, announcing).run()
    finally:
        await _close(execution)


async def _close(execution: Execution) -> None:
    """Clean up after a run, also while the dispatcher is shutting down."""
    closing = asyncio.create_task(execution.close())
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await asyncio.wait({closing}, timeout=LAST_WRITE_S)
        raise
    except Exception as error:
        log.warning("a run could not be cleaned up", error=repr(error))


class _Requests(NamedTuple):
    """Requests of the job's owner."""

    stop: bool
    cancel: bool


class _Attempt:
    """A started run with its lease, events and checkpoints."""

    def __init__(
        self,
        context: DispatchContext,
        claim: Claim,
        execution: Execution,
        announcing: asyncio.Task[None],
    ) -> None:
        self._context = context
        self._job = claim.job
        self._claim = claim
        self._execution = execution
        self._announcing = announcing
        # A cancelled execution does not say who cancelled it; the job's fate depends on that.
        self._owner_cancelled = False
        self._forgotten = False  # the lease is lost: write nothing more
        # Set while the newest incumbent has no checkpoint.
        self._improved = asyncio.Event()
        self._lost_detail = "the executor ended the run"

    async def run(self) -> None:
        """Forward events until the run ends, then record the end."""
        keeper = asyncio.create_task(self._keep_lease())
        saver = asyncio.create_task(self._store_checkpoints())
        recording: asyncio.Task[None] | None = None
        try:
            await self._forward_events()
            outcome = await self._execution.result()
            keeper.cancel()
            saver.cancel()
            if self._forgotten:
                return
            outcome = self._attributed(outcome)
            checkpoint = await self._checkpoint() if outcome.status in RETRIED else None
            recording = asyncio.create_task(
                record(self._context, self._claim, outcome, checkpoint=checkpoint)
            )
            await asyncio.shield(recording)
        except StaleFence:
            log.warning(
                "lease moved on; attempt forgotten",
                job=self._job.id,
                fence=self._claim.fence,
            )
            await self._execution.cancel()
        except asyncio.CancelledError:
            if recording is not None:
                # The run has ended: wait a moment for its result, or it would run again.
                await asyncio.wait({recording}, timeout=LAST_WRITE_S)
                recording.cancel()
                raise
            # Shutdown: the job returns to the queue now, not when its lease expires.
            checkpoint = await self._checkpoint()
            await self._execution.cancel()
            await hand_back(self._context, self._claim, checkpoint=checkpoint)
            raise
        finally:
            keeper.cancel()
            saver.cancel()
            self._context.bus.notify(self._job.id)

    def _attributed(self, outcome: Outcome) -> Outcome:
        """Turn a cancel that the owner did not request into a lost attempt, to be retried."""
        if outcome.status is not OutcomeStatus.CANCELLED or self._owner_cancelled:
            return outcome
        lost = outcome_of(OutcomeStatus.LOST, Reason.WORKER_LOST, self._lost_detail)
        return replace(lost, usage=outcome.usage)

    # -- checkpoints --
    async def _checkpoint(self) -> bytes | None:
        """Read the best solution of the run; None also when that takes too long."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(LAST_WRITE_S):
                return await self._execution.checkpoint()
        return None

    async def _store_checkpoints(self) -> None:
        """Store the best solution while it improves, as the start of a next attempt."""
        loop = asyncio.get_running_loop()
        stored: bytes | None = None
        pause_s = CHECKPOINT_S
        while True:
            await self._improved.wait()
            await asyncio.sleep(pause_s)
            self._improved.clear()
            began = loop.time()
            data = await self._checkpoint()
            if data is not None and data != stored:
                try:
                    await self._context.store.put_checkpoint(
                        self._job.id, self._claim.fence, data
                    )
                    stored = data
                except StaleFence:
                    return  # the next heartbeat notices this too, and ends the run
                except StoreUnavailable:
                    self._improved.set()
            # Spend at most a tenth of the time on checkpoints.
            pause_s = max(CHECKPOINT_S, 10 * (loop.time() - began))

    # -- events --
    async def _forward_events(self) -> None:
        """Append the child's events, one append at a time; later ones wait for the next."""
        waiting: list[NewEvent] = []
        wake = asyncio.Event()
        ended = False

        async def collect() -> None:
            nonlocal ended
            try:
                async for progress in self._execution.events():
                    self._announcing.cancel()
                    if len(waiting) >= MAX_WAITING:
                        del waiting[0]
                    if progress.type is EventType.INCUMBENT:
                        self._improved.set()
                    waiting.append(NewEvent(type=progress.type, data=dict(progress.data)))
                    wake.set()
            finally:
                ended = True
                wake.set()

        collector = asyncio.create_task(collect())
        try:
            while not (ended and not waiting):
                await wake.wait()
                wake.clear()
                batch, waiting[:] = list(waiting), []
                if batch:
                    await self._append(batch)
            await collector
        finally:
            collector.cancel()

    async def _append(self, batch: Sequence[NewEvent]) -> None:
        while True:
            try:
                await self._context.store.append(self._job.id, self._claim.fence, batch)
            except StoreUnavailable as error:
                await asyncio.sleep(error.retry_after_s or 1.0)
                continue
            self._context.bus.notify(self._job.id)
            return

    # -- lease --
    async def _keep_lease(self) -> None:
        """Renew the lease while the child responds, and pass on stop and cancel.

        Kills a child that is silent for two leases, and one whose lease is lost.
        """
        context = self._context
        clock = asyncio.get_running_loop().time
        stop_sent = False
        next_beat = clock() + context.heartbeat_s
        with context.bus.listen(self._job.id) as changed:
            # Listen first, then read: a cancel since the claim must not wait for a heartbeat.
            changed.set()
            while True:
                # Between heartbeats this polls for the requests that other processes wrote;
                # in one process the bus wakes it.
                pause_s = max(0.01, min(next_beat - clock(), context.signal_poll_s))
                woken = await wait_for(changed, pause_s)
                changed.clear()
                if self._execution.silent_s > 2 * context.lease_s:
                    await self._kill_silent()
                    return
                beat_due = clock() >= next_beat
                try:
                    requests = await self._read_requests(woken=woken, beat_due=beat_due)
                except StoreUnavailable:
                    continue
                except (StaleFence, NotFound):
                    await self._forget()
                    return
                if beat_due:
                    next_beat = clock() + context.heartbeat_s
                if requests.cancel:
                    self._owner_cancelled = True
                    await self._execution.cancel()
                    return
                if requests.stop and not stop_sent:
                    stop_sent = True
                    await self._execution.stop()

    async def _read_requests(self, *, woken: bool, beat_due: bool) -> _Requests:
        """Renew the lease if a heartbeat is due and the child responds; else read the job.

        Raises StaleFence, NotFound or StoreUnavailable.
        """
        store, job_id, fence = self._context.store, self._job.id, self._claim.fence
        lease_s = self._context.lease_s
        if beat_due and self._execution.silent_s < 0.75 * lease_s:
            signals = await store.renew(job_id, fence, lease_s=lease_s)
            return _Requests(signals.stop_requested, signals.cancel_requested)
        if woken or not beat_due:
            job = await store.get(job_id)
            if job.fence != fence:
                raise StaleFence(job_id, fence)
            return _Requests(job.stop_requested, job.cancel_requested)
        return _Requests(stop=False, cancel=False)

    async def _kill_silent(self) -> None:
        silent_s = self._execution.silent_s
        log.warning(
            "child is silent; killed", job=self._job.id, silent_s=round(silent_s, 1)
        )
        self._lost_detail = f"the run was silent for {silent_s:.1f} s and was killed"
        await self._execution.cancel()

    async def _forget(self) -> None:
        log.warning(
            "lease lost; attempt killed", job=self._job.id, fence=self._claim.fence
        )
        # An expired lease that no sweep has taken back yet still accepts this fence.
        self._forgotten = True
        await self._execution.cancel()

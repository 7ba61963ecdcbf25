"""One attempt from claim to end: runs it, keeps its lease, writes what it says, records its end.

Every write carries the claim's fence. The first StaleFence means that the lease has passed on: the execution is cancelled and
forgotten, because another attempt is, or will be, the one that counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from search.domains import Kind
from services.bus import Bus, wait_for
from services.dispatcher.retry import TREATMENTS, Backoff
from services.errors import NotFound, ServiceError, StaleFence, StoreUnavailable
from services.store.blobs import BlobStore
from services.store.changes import HANDED_BACK, facts_of
from services.store.types import (
    ArtifactRecord,
    Claim,
    Completion,
    JobRecord,
    JobStore,
    NewEvent,
)
from trimtab.certificates import certified
from trimtab.results import EventType, Limit, Reason, Termination
from trimtab.specs.common import Spec
from workers.types import (
    Execution,
    Executor,
    Finish,
    Outcome,
    OutcomeStatus,
    Task,
    TaskLimits,
)

log = structlog.get_logger("trimtab.dispatcher")
Json = dict[str, Any]
MAX_WAITING = (
    2_000  # events kept while the store is away; a run says at most some ten a second
)
CHECKPOINT_S = 1.0  # from an incumbent until its checkpoint is stored, and between two
LAST_WORD_S = 5.0  # at shutdown: how long an end that is being written may take


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What every attempt needs of its dispatcher."""

    store: JobStore
    executor: Executor
    blobs: BlobStore
    bus: Bus
    limits: TaskLimits
    lease_s: float
    heartbeat_s: float
    signal_poll_s: float  # how often another process' stop and cancel are looked for
    backoff: Backoff
    rng: random.Random


async def run_attempt(tools: Tools, claim: Claim, kind: Kind) -> None:
    """Never raises for what the job did."""
    try:
        task = await _task(tools, claim, kind)
    except (ServiceError, OSError, ValueError) as error:
        await _record(tools, claim, _cannot_begin(error))
        return
    # Shielded: a start that is torn in the middle would leave a child that nobody knows.
    starting = asyncio.create_task(tools.executor.start(task))
    try:
        execution = await _started(tools, claim, starting)
    except StaleFence:
        log.warning(
            "lease has passed on before the run began", job=claim.job.id, fence=claim.fence
        )
        await _discard(starting)
        return
    except _CancelledByOwner:
        # The end is recorded at once; the process that is still coming up goes back to its executor in its own time.
        cancelled = _outcome(
            OutcomeStatus.CANCELLED,
            Reason.CANCELLED,
            "cancelled by its owner before the run began",
        )
        await asyncio.gather(_record(tools, claim, cancelled), _discard(starting))
        return
    except asyncio.CancelledError:
        await asyncio.gather(_hand_back(tools, claim), _discard(starting))
        raise
    except (
        Exception
    ) as error:  # e.g. no memory to fork: the service's fault, another attempt may succeed
        log.warning("attempt could not start", job=claim.job.id, error=repr(error))
        detail = f"no worker could be started: {error}"
        await _record(
            tools, claim, _outcome(OutcomeStatus.TRANSIENT, Reason.WORKER_LOST, detail)
        )
        return
    attempt = _Attempt(tools, claim, execution)
    try:
        await attempt.run()
    finally:
        await _closed(execution)


async def _closed(execution: Execution) -> None:
    """Clear away what is left of a run, also while the dispatcher is closing."""
    closing = asyncio.create_task(execution.close())
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await asyncio.wait({closing}, timeout=LAST_WORD_S)
        raise
    except Exception as error:
        log.warning("a run could not be cleared away", error=repr(error))


class _CancelledByOwner(Exception):
    """The owner cancelled the job while its run was starting."""


async def _started(
    tools: Tools, claim: Claim, starting: asyncio.Task[Execution]
) -> Execution:
    """Wait for the start, keep the lease meanwhile, and watch for a cancel.

    On a busy machine a child may take longer to come up than a lease lasts, and its owner need not wait for it. Raises
    StaleFence, _CancelledByOwner, and whatever the start raised. Cancelling this does not cancel the start.
    """
    clock = asyncio.get_running_loop().time
    next_beat = clock() + tools.heartbeat_s
    with tools.bus.listen(claim.job.id) as changed:
        changed.set()  # listen first, read second: a cancel between the claim and here counts as well
        while True:
            wake = asyncio.create_task(changed.wait())
            pause_s = max(0.01, min(next_beat - clock(), tools.signal_poll_s))
            try:
                await asyncio.wait(
                    {starting, wake}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                wake.cancel()
            if starting.done():
                return starting.result()
            changed.clear()
            with contextlib.suppress(StoreUnavailable):
                if clock() >= next_beat:
                    next_beat = clock() + tools.heartbeat_s
                    signals = await tools.store.renew(
                        claim.job.id, claim.fence, lease_s=tools.lease_s
                    )
                    cancel = signals.cancel_requested
                else:
                    job = await tools.store.get(claim.job.id)
                    if job.fence != claim.fence:
                        raise StaleFence(claim.job.id, claim.fence)
                    cancel = job.cancel_requested
                if cancel:
                    raise _CancelledByOwner


class _Attempt:
    def __init__(self, tools: Tools, claim: Claim, execution: Execution) -> None:
        self._tools = tools
        self._job = claim.job
        self._claim = claim
        self._execution = execution
        # An execution that was cancelled says only that. Who wanted it, and so what becomes of the job, is known here.
        self._owner_cancelled = False
        self._forgotten = False
        self._improved = asyncio.Event()  # an incumbent came whose checkpoint is not stored
        self._given_up = "the executor ended the run"

    async def run(self) -> None:
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
            outcome = self._judged(outcome)
            best = await self._checkpoint() if TREATMENTS[outcome.status].retried else None
            recording = asyncio.create_task(
                _record(self._tools, self._claim, outcome, checkpoint=best)
            )
            await asyncio.shield(recording)
        except StaleFence:
            log.warning(
                "lease has passed on; this attempt is forgotten",
                job=self._job.id,
                fence=self._claim.fence,
            )
            await self._execution.cancel()
        except asyncio.CancelledError:
            if recording is not None:
                # The run has ended already: its result is worth a moment. Without it the lease runs out, and it runs again.
                await asyncio.wait({recording}, timeout=LAST_WORD_S)
                recording.cancel()
                raise
            # The dispatcher is closing: the job goes back to the queue at once, not when its lease runs out.
            best = await self._checkpoint()
            await self._execution.cancel()
            await _hand_back(self._tools, self._claim, checkpoint=best)
            raise
        finally:
            keeper.cancel()
            saver.cancel()
            self._tools.bus.notify(self._job.id)

    def _judged(self, outcome: Outcome) -> Outcome:
        """A run that was killed without its owner's word is lost, not cancelled: another attempt follows."""
        if outcome.status is not OutcomeStatus.CANCELLED or self._owner_cancelled:
            return outcome
        lost = _outcome(OutcomeStatus.LOST, Reason.WORKER_LOST, self._given_up)
        return replace(lost, usage=outcome.usage)

    async def _checkpoint(self) -> bytes | None:
        """The run's best solution so far; None also when it cannot be read in a moment."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                return await self._execution.checkpoint()
        return None

    async def _store_checkpoints(self) -> None:
        """Store the best solution so far while it improves, for the attempt that follows if this one is lost."""
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
                    await self._tools.store.put_checkpoint(
                        self._job.id, self._claim.fence, data
                    )
                    stored = data
                except StaleFence:
                    return  # the next heartbeat finds that out as well, and ends the run
                except StoreUnavailable:
                    self._improved.set()
            pause_s = max(CHECKPOINT_S, 10 * (loop.time() - began))

    async def _forward_events(self) -> None:
        """Append what the child says: one append at a time; what comes meanwhile goes into the next."""
        waiting: list[NewEvent] = []
        wake = asyncio.Event()
        ended = False

        async def collect() -> None:
            nonlocal ended
            try:
                async for progress in self._execution.events():
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
                await self._tools.store.append(self._job.id, self._claim.fence, batch)
            except StoreUnavailable as error:
                await asyncio.sleep(error.retry_after_s or 1.0)
                continue
            self._tools.bus.notify(self._job.id)
            return

    async def _keep_lease(self) -> None:
        """Renew while the child is heard; pass stop and cancel on; kill what is silent or no longer ours."""
        tools = self._tools
        stopped = False
        # Between heartbeats only another process' words are looked for; with one process the bus tells at once.
        next_beat = asyncio.get_running_loop().time() + tools.heartbeat_s
        with tools.bus.listen(self._job.id) as changed:
            changed.set()  # listen first, read second: a cancel between the claim and here must not wait for a heartbeat
            while True:
                left = next_beat - asyncio.get_running_loop().time()
                woken = await wait_for(changed, max(0.01, min(left, tools.signal_poll_s)))
                changed.clear()
                silent_s = self._execution.silent_s
                if silent_s > 2 * tools.lease_s:
                    log.warning(
                        "child is silent; killed",
                        job=self._job.id,
                        silent_s=round(silent_s, 1),
                    )
                    self._given_up = (
                        f"the run was silent for {silent_s:.1f} s and was killed"
                    )
                    await self._execution.cancel()
                    return
                beat_due = asyncio.get_running_loop().time() >= next_beat
                try:
                    if beat_due and silent_s < 0.75 * tools.lease_s:
                        signals = await tools.store.renew(
                            self._job.id, self._claim.fence, lease_s=tools.lease_s
                        )
                        stop, cancel = signals.stop_requested, signals.cancel_requested
                    elif woken or not beat_due:
                        job = await tools.store.get(self._job.id)
                        if job.fence != self._claim.fence:
                            raise StaleFence(self._job.id, self._claim.fence)
                        stop, cancel = job.stop_requested, job.cancel_requested
                    else:
                        stop = cancel = False
                except StoreUnavailable:
                    continue
                except (StaleFence, NotFound):
                    log.warning(
                        "lease lost; attempt killed",
                        job=self._job.id,
                        fence=self._claim.fence,
                    )
                    # Nothing is written any more, even though a fence that was not swept yet would be taken.
                    self._forgotten = True
                    await self._execution.cancel()
                    return
                if beat_due:
                    next_beat = asyncio.get_running_loop().time() + tools.heartbeat_s
                if cancel:
                    self._owner_cancelled = True
                    await self._execution.cancel()
                    return
                if stop and not stopped:
                    stopped = True
                    await self._execution.stop()


async def _task(tools: Tools, claim: Claim, kind: Kind) -> Task:
    job = claim.job
    spec: Spec = kind.spec.model_validate(dict(job.spec), strict=False)
    inputs, names = {}, {}
    for name, reference in spec.artifacts().items():
        record = await tools.store.get_artifact(reference.digest, tenant=job.tenant)
        inputs[name] = tools.blobs.path(reference.digest)
        names[name] = reference.name or record.name
    start = await tools.store.get_checkpoint(job.id) if job.has_checkpoint else None
    return Task(
        job_id=job.id,
        fence=claim.fence,
        kind=job.kind,
        builder=kind.builder,
        spec_class=kind.spec_class,
        spec=spec.model_dump(mode="json"),
        seed=job.seed,
        budget=dict(job.budget),
        inputs=inputs,
        input_names=names,
        limits=tools.limits,
        baseline=kind.baseline,
        needs=kind.needs,
        start=start,
        finish=None if start is None else _finish(job),
    )


def _finish(job: JobRecord) -> Finish | None:
    """Why this attempt only finishes what earlier ones had found; None when it is to search."""
    if not facts_of(job).only_finishes:
        return None
    if job.stop_requested:
        detail, limit = (
            "stopped by its owner; its worker was lost before it could end",
            Limit.STOPPED,
        )
    else:
        detail, limit = (
            f"the workers of all {job.max_attempts} attempts were lost",
            Limit.ATTEMPTS,
        )
    return Finish(ended=Termination(reason=Reason.WORKER_LOST, limit=limit, detail=detail))


async def _hand_back(
    tools: Tools, claim: Claim, *, checkpoint: bytes | None = None
) -> None:
    """At shutdown: the job may be claimed again at once. If the store is away, its lease runs out instead."""
    lost = _outcome(OutcomeStatus.LOST, Reason.WORKER_LOST, "the dispatcher was shut down")
    completion = replace(
        _completion(lost, retry_delay_s=0.0), outcome=HANDED_BACK, checkpoint=checkpoint
    )
    with contextlib.suppress(ServiceError, TimeoutError):
        async with asyncio.timeout(LAST_WORD_S):
            while True:
                try:
                    await tools.store.complete(claim.job.id, claim.fence, completion)
                    return
                except StoreUnavailable as error:
                    await asyncio.sleep(min(error.retry_after_s or 1.0, 1.0))


async def _discard(starting: asyncio.Task[Execution]) -> None:
    """End an execution that nobody waits for any more."""
    await asyncio.wait({starting}, timeout=LAST_WORD_S)
    if not starting.done():
        starting.cancel()
    elif not starting.cancelled() and starting.exception() is None:
        await starting.result().close()


async def _record(
    tools: Tools, claim: Claim, outcome: Outcome, *, checkpoint: bytes | None = None
) -> None:
    """Store the end. A result must not be lost because the database is restarting: it is offered until it is taken
    or refused."""
    job = claim.job
    while True:
        try:
            references = await _adopt(tools, claim, outcome)
            if outcome.result is not None:
                outcome = replace(
                    outcome, result={**outcome.result, "artifacts": references}
                )
            delay_s = 0.0
            if TREATMENTS[outcome.status].retried:
                delay_s = tools.backoff.delay_s(job.attempt, tools.rng)
            digests = [str(r["digest"]) for r in references.values()]
            completion = _completion(
                outcome, retry_delay_s=delay_s, artifacts=digests, checkpoint=checkpoint
            )
            after = await tools.store.complete(job.id, claim.fence, completion)
        except StoreUnavailable as error:
            log.warning("store unavailable while a job ends; trying again", job=job.id)
            await asyncio.sleep(error.retry_after_s or 1.0)
            continue
        except StaleFence:
            log.warning("stale end refused", job=job.id, fence=claim.fence)
            return
        log.info(
            "job ended", job=job.id, state=after.state.value, outcome=outcome.status.value
        )
        tools.bus.notify(job.id)
        return


async def _adopt(tools: Tools, claim: Claim, outcome: Outcome) -> dict[str, Json]:
    """Move produced files into the blob store and give them to the job's tenant."""
    references: dict[str, Json] = {}
    for file in outcome.produced:
        blob = await asyncio.to_thread(tools.blobs.adopt, file.path)
        record = ArtifactRecord(
            digest=blob.digest,
            tenant=claim.job.tenant,
            name=file.name,
            media_type=file.media_type,
            size_bytes=blob.size_bytes,
            created_us=await tools.store.now_us(),
        )
        await tools.store.put_artifact(record)
        references[file.name] = {
            "digest": blob.digest,
            "name": file.name,
            "size_bytes": blob.size_bytes,
            "media_type": file.media_type,
        }
    return references


def _completion(
    outcome: Outcome,
    *,
    retry_delay_s: float,
    artifacts: Sequence[str] = (),
    checkpoint: bytes | None = None,
) -> Completion:
    best = None
    if outcome.result is not None:
        keys = ("objective", "bound", "gap")
        best = {k: outcome.result.get(k) for k in keys} | {
            "elapsed_s": outcome.usage.get("wall_s", 0.0)
        }
        if (model := certified(outcome.result)) is not None:
            best["certificate"] = {"bound": model.bound, "gap": model.gap}
    return Completion(
        verb=TREATMENTS[outcome.status].verb.value,
        termination=outcome.termination.model_dump(mode="json"),
        outcome=outcome.status.value,
        result=outcome.result,
        best=best,
        artifacts=artifacts,
        checkpoint=checkpoint,
        retry_delay_s=retry_delay_s,
    )


def _cannot_begin(error: Exception) -> Outcome:
    if isinstance(error, NotFound):
        detail = f"an input file is gone: {error}"
        return _outcome(OutcomeStatus.FAILED, Reason.INVALID_INPUT, detail)
    if isinstance(
        error, ValueError
    ):  # pydantic's ValidationError is one: the stored spec is of an older version
        return _outcome(
            OutcomeStatus.FAILED,
            Reason.INVALID_INPUT,
            f"the stored spec is not valid now: {error}",
        )
    return _outcome(
        OutcomeStatus.TRANSIENT,
        Reason.WORKER_LOST,
        f"the task could not be put together: {error}",
    )


def _outcome(status: OutcomeStatus, reason: Reason, detail: str) -> Outcome:
    return Outcome(status=status, termination=Termination(reason=reason, detail=detail))

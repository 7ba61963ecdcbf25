"""Start an attempt: build its task, and keep the lease while the run comes up."""

from __future__ import annotations

import asyncio
import contextlib

from search.kinds import Kind
from services.dispatcher.context import LAST_WRITE_S, DispatchContext
from services.dispatcher.recording import outcome_of
from services.errors import NotFound, ServiceError, StaleFence, StoreUnavailable
from services.models import usable_models
from services.plans.jobs import woken_of
from services.store.changes import START_PHASE, facts_of
from services.store.types import Claim, JobRecord, NewEvent
from trimtab.results import EventType, Limit, Reason, Termination
from trimtab.specs.common import Spec
from workers.types import Execution, Finish, Outcome, OutcomeStatus, Task
from workers.wire import woken_to_json

QUIET_S = 1.0
"""Seconds from the claim until a run that has not reported a phase is announced."""


class CancelledByOwner(Exception):
    """The owner cancelled the job while its run was starting."""


async def task_of(context: DispatchContext, claim: Claim, kind: Kind) -> Task:
    """Build the task of a claim: spec, input files, checkpoint, limits.

    Raises ServiceError, OSError, or ValueError for a spec that is no longer valid.
    """
    job = claim.job
    spec: Spec = kind.spec.model_validate(dict(job.spec), strict=False)
    inputs, names = {}, {}
    for name, reference in spec.artifacts().items():
        artifact = await context.store.get_artifact(reference.digest, tenant=job.tenant)
        inputs[name] = context.blobs.path(reference.digest)
        names[name] = reference.name or artifact.name
    wanted, models = await usable_models(context.store, job, claim.fence, kind)
    for model in models:
        inputs[f"model.{model.id}"] = context.blobs.path(model.digest)
        names[f"model.{model.id}"] = f"{model.id}.safetensors"
    start = await context.store.get_checkpoint(job.id) if job.has_checkpoint else None
    woken = None
    if job.has_memo:
        woken = woken_to_json(await woken_of(context.store, job, site=context.site))
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
        limits=context.limits,
        baseline=kind.baseline,
        resumes=kind.resumes,
        model=wanted,
        models={model.id: model.digest.removeprefix("sha256:") for model in models},
        needs=kind.needs,
        start=start,
        woken=woken,
        finish=None if start is None else _finish(job),
    )


def _finish(job: JobRecord) -> Finish | None:
    """Return why this attempt verifies the checkpoint instead of searching; None: search."""
    if not facts_of(job).only_finishes:
        return None
    if job.stop_requested:
        limit = Limit.STOPPED
        detail = "stopped by its owner; its worker was lost before it could end"
    else:
        limit = Limit.ATTEMPTS
        detail = f"the workers of all {job.max_attempts} attempts were lost"
    return Finish(
        ended=Termination(reason=Reason.WORKER_LOST, limit=limit, detail=detail)
    )


def refusal_outcome(error: Exception) -> Outcome:
    """Convert an error of `task_of` into the outcome of the attempt."""
    if isinstance(error, NotFound):
        return outcome_of(
            OutcomeStatus.FAILED,
            Reason.INVALID_INPUT,
            f"an input file no longer exists: {error}",
        )
    # Pydantic's ValidationError is a ValueError: an older version stored the spec.
    if isinstance(error, ValueError):
        return outcome_of(
            OutcomeStatus.FAILED,
            Reason.INVALID_INPUT,
            f"the stored spec is no longer valid: {error}",
        )
    return outcome_of(
        OutcomeStatus.TRANSIENT,
        Reason.WORKER_LOST,
        f"the task could not be prepared: {error}",
    )


async def wait_for_start(
    context: DispatchContext, claim: Claim, starting: asyncio.Task[Execution]
) -> Execution:
    """Wait for the start; meanwhile renew the lease and watch for a cancel.

    On a busy machine a child may take longer to start than a lease lasts, and a cancel need not
    wait for it. Raises StaleFence, CancelledByOwner, and the errors of the start. Cancelling
    this coroutine does not cancel the start.
    """
    clock = asyncio.get_running_loop().time
    next_beat = clock() + context.heartbeat_s
    with context.bus.listen(claim.job.id) as changed:
        # Listen first, then read: a cancel between the claim and this line counts too.
        changed.set()
        while True:
            wake = asyncio.create_task(changed.wait())
            pause_s = max(0.01, min(next_beat - clock(), context.signal_poll_s))
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
                    next_beat = clock() + context.heartbeat_s
                    signals = await context.store.renew(
                        claim.job.id, claim.fence, lease_s=context.lease_s
                    )
                    cancel = signals.cancel_requested
                else:
                    job = await context.store.get(claim.job.id)
                    if job.fence != claim.fence:
                        raise StaleFence(claim.job.id, claim.fence)
                    cancel = job.cancel_requested
                if cancel:
                    raise CancelledByOwner


async def announce_slow_start(context: DispatchContext, claim: Claim) -> None:
    """Report a run that has said nothing for `QUIET_S`. Cancel it at the run's first event."""
    await asyncio.sleep(QUIET_S)
    detail = "the process of the run loads its libraries; a busy machine takes longer"
    event = NewEvent(type=EventType.PHASE, data={"phase": START_PHASE, "detail": detail})
    with contextlib.suppress(ServiceError):  # the attempt itself notices a lost lease
        await context.store.append(claim.job.id, claim.fence, [event])
        context.bus.notify(claim.job.id)


async def discard(starting: asyncio.Task[Execution]) -> None:
    """Close an execution that is no longer needed, once it has started."""
    await asyncio.wait({starting}, timeout=LAST_WRITE_S)
    if not starting.done():
        starting.cancel()
    elif not starting.cancelled() and starting.exception() is None:
        await starting.result().close()

"""Record the end of an attempt: outcome to completion, files to blobs, job back to the queue."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import structlog

from services.dispatcher.context import LAST_WRITE_S, DispatchContext
from services.dispatcher.figures import observe_end
from services.dispatcher.resting import completion_of_rest, failed_rest
from services.errors import (
    BadRequest,
    Conflict,
    NotFound,
    ServiceError,
    StaleFence,
    StoreUnavailable,
)
from services.models import ModelNotRegistered, about, new_model
from services.store.changes import HANDED_BACK
from services.store.lifecycle import Verb
from services.store.types import ArtifactRecord, Claim, Completion, JobRecord, NewModel
from trimtab.certificates import certified
from trimtab.results import Reason, Termination
from workers.retry import RETRIED
from workers.types import Outcome, OutcomeStatus

log = structlog.get_logger("trimtab.dispatcher")
Json = dict[str, Any]

# Outcomes that end the job. The others (`workers.retry.RETRIED`) are lost attempts: the job is
# queued again while attempts are left.
_FINAL: Mapping[OutcomeStatus, Verb] = MappingProxyType(
    {
        OutcomeStatus.RESULT: Verb.SUCCEED,
        OutcomeStatus.FAILED: Verb.FAIL,
        OutcomeStatus.CANCELLED: Verb.CONFIRM_CANCEL,
    }
)


def verb_of(status: OutcomeStatus) -> Verb:
    """Return the lifecycle verb that an outcome becomes in the store."""
    return Verb.LOSE if status in RETRIED else _FINAL[status]


def outcome_of(status: OutcomeStatus, reason: Reason, detail: str) -> Outcome:
    """Build an outcome that the dispatcher itself decides."""
    return Outcome(status=status, termination=Termination(reason=reason, detail=detail))


async def record(
    context: DispatchContext,
    claim: Claim,
    outcome: Outcome,
    *,
    checkpoint: bytes | None = None,
) -> None:
    """Store the end of an attempt with its files.

    Repeats while the store is unavailable, because a database restart must not lose a result.
    A stale fence ends it: another attempt counts.
    """
    job = claim.job
    # Before the loop: adopting a file moves it.
    outcome, model = await _registered(context, claim, outcome)
    while True:
        try:
            references = await _adopt(context, claim, outcome)
            if outcome.result is not None:
                outcome = replace(
                    outcome, result={**outcome.result, "artifacts": references}
                )
            delay_s = 0.0
            if outcome.status in RETRIED:
                delay_s = context.backoff.delay_s(job.attempt, context.rng)
            if outcome.rest is not None:
                after = await _rest(context, claim, outcome)
            else:
                completion = completion_of(
                    outcome,
                    retry_delay_s=delay_s,
                    artifacts=[str(one["digest"]) for one in references.values()],
                    checkpoint=checkpoint,
                    model=model,
                )
                after = await context.store.complete(job.id, claim.fence, completion)
        except StoreUnavailable as error:
            log.warning("store unavailable at the end of a job; retrying", job=job.id)
            await asyncio.sleep(error.retry_after_s or 1.0)
            continue
        except StaleFence:
            log.warning("stale completion refused", job=job.id, fence=claim.fence)
            return
        observe_end(
            context.metrics,
            after,
            outcome=outcome.status.value,
            seconds=time.monotonic() - claim.claimed_s,
        )
        log.info(
            "job ended", job=job.id, state=after.state.value, outcome=outcome.status.value
        )
        context.bus.notify(job.id)
        if after.graph is not None:
            context.bus.notify(after.graph)
        return


async def _rest(context: DispatchContext, claim: Claim, outcome: Outcome) -> JobRecord:
    """Store a run that goes to rest; it fails if its jobs cannot be started."""
    job_id, fence = claim.job.id, claim.fence
    completion = await completion_of_rest(context, claim, outcome)
    try:
        return await context.store.complete(job_id, fence, completion)
    except (Conflict, NotFound, BadRequest) as error:
        if completion.verb == Verb.FAIL:
            raise
        return await context.store.complete(job_id, fence, failed_rest(error))


async def hand_back(
    context: DispatchContext, claim: Claim, *, checkpoint: bytes | None = None
) -> None:
    """Return a job to the queue at shutdown, to be claimed again at once.

    If the store is unavailable, the lease expires instead.
    """
    lost = outcome_of(
        OutcomeStatus.LOST, Reason.WORKER_LOST, "the dispatcher was shut down"
    )
    completion = replace(
        completion_of(lost, retry_delay_s=0.0), outcome=HANDED_BACK, checkpoint=checkpoint
    )
    with contextlib.suppress(ServiceError, TimeoutError):
        async with asyncio.timeout(LAST_WRITE_S):
            while True:
                try:
                    await context.store.complete(claim.job.id, claim.fence, completion)
                    return
                except StoreUnavailable as error:
                    await asyncio.sleep(min(error.retry_after_s or 1.0, 1.0))


async def _registered(
    context: DispatchContext, claim: Claim, outcome: Outcome
) -> tuple[Outcome, NewModel | None]:
    """Return the model that a job registers with its end, and the outcome that names it.

    A model whose card does not hold ends the job as a failure of verification, without files.
    """
    if not context.kinds[claim.job.kind].makes_models or outcome.result is None:
        return outcome, None
    files = {file.name: file.path for file in outcome.produced}
    try:
        model = await asyncio.to_thread(new_model, files)
    except ModelNotRegistered as error:
        detail = f"the model was not registered: {error}"
        log.warning("model refused", job=claim.job.id, error=str(error))
        refused = outcome_of(OutcomeStatus.FAILED, Reason.VERIFICATION_FAILED, detail)
        return replace(refused, usage=outcome.usage), None
    if model is None:
        return outcome, None
    summary = {**outcome.result.get("summary", {}), "model": about(model)}
    return replace(outcome, result={**outcome.result, "summary": summary}), model


async def _adopt(
    context: DispatchContext, claim: Claim, outcome: Outcome
) -> dict[str, Json]:
    """Move the produced files into the blob store, owned by the job's tenant.

    Returns an ArtifactRef in JSON by file name.
    """
    references: dict[str, Json] = {}
    for file in outcome.produced:
        blob = await asyncio.to_thread(context.blobs.adopt, file.path)
        artifact = ArtifactRecord(
            digest=blob.digest,
            tenant=claim.job.tenant,
            name=file.name,
            media_type=file.media_type,
            size_bytes=blob.size_bytes,
            created_us=await context.store.now_us(),
        )
        await context.store.put_artifact(artifact)
        if not context.blobs.holds(blob.digest):  # deleted meanwhile: see gc.remove_bytes
            await asyncio.to_thread(context.blobs.adopt, file.path)
        references[file.name] = {
            "digest": blob.digest,
            "name": file.name,
            "size_bytes": blob.size_bytes,
            "media_type": file.media_type,
        }
    return references


def completion_of(
    outcome: Outcome,
    *,
    retry_delay_s: float,
    artifacts: Sequence[str] = (),
    checkpoint: bytes | None = None,
    model: NewModel | None = None,
) -> Completion:
    """Convert an outcome into what the store writes. A result also updates `best`."""
    best = None
    if outcome.result is not None:
        keys = ("objective", "bound", "gap")
        best = {key: outcome.result.get(key) for key in keys}
        best["elapsed_s"] = outcome.usage.get("wall_s", 0.0)
        if (proved := certified(outcome.result)) is not None:
            best["certificate"] = {"bound": proved.bound, "gap": proved.gap}
    return Completion(
        verb=verb_of(outcome.status).value,
        termination=outcome.termination.model_dump(mode="json"),
        outcome=outcome.status.value,
        result=outcome.result,
        best=best,
        artifacts=artifacts,
        checkpoint=checkpoint,
        model=model,
        retry_delay_s=retry_delay_s,
    )

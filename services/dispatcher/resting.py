"""A run that goes to rest: check its outline, and decide between hold, suspend and failure."""

from __future__ import annotations

import asyncio

from search.rest import Rest
from services.dispatcher.context import DispatchContext
from services.errors import InvalidBody, ServiceError, StoreUnavailable
from services.plans.jobs import children_of
from services.plans.outlines import (
    memo_of,
    open_questions,
    read_outline,
    require_repairs,
    require_runnable,
)
from services.store.lifecycle import Verb
from services.store.types import Claim, Completion, JobRecord, MemoRecord, NewJob
from services.submission import Submission, queued_jobs
from trimtab.plans import Outline
from trimtab.results import JobState, Reason, Termination
from trimtab.specs.common import Spec
from workers.types import Outcome, OutcomeStatus


async def completion_of_rest(
    context: DispatchContext, claim: Claim, outcome: Outcome
) -> Completion:
    """Return what the store writes for a run that rests. Raises StoreUnavailable.

    The memo comes from a process that may have been taken over: an outline that is not sound
    fails the job, and nothing is started.
    """
    job, rest = claim.job, outcome.rest
    assert rest is not None
    try:
        outline = await asyncio.to_thread(read_outline, rest.memo)
        stored = await context.store.memo(job.id)
        if stored is not None and stored.approved is not None:
            require_repairs(read_outline(stored.body), outline)
        children = await _children(context, job, rest, outline, stored)
    except StoreUnavailable:
        raise
    except (ServiceError, ValueError) as error:
        return failed_rest(error)
    asks = rest.state is JobState.NEEDS_INPUT
    starts = children is not None
    return Completion(
        verb=(Verb.SUSPEND if starts else Verb.HOLD).value,
        termination=outcome.termination.model_dump(mode="json"),
        outcome=OutcomeStatus.RESTED.value,
        memo=memo_of(rest.memo, outline),
        asks=asks,
        children=children or (),
    )


def failed_rest(error: Exception) -> Completion:
    """Return the failure of a plan whose outline cannot be taken."""
    detail = f"the run's outline cannot be taken: {error}"[:2000]
    termination = Termination(reason=Reason.INTERNAL_ERROR, detail=detail)
    return Completion(
        verb=Verb.FAIL.value,
        termination=termination.model_dump(mode="json"),
        outcome=OutcomeStatus.FAILED.value,
    )


async def _children(
    context: DispatchContext,
    job: JobRecord,
    rest: Rest,
    outline: Outline,
    stored: MemoRecord | None,
) -> list[NewJob] | None:
    """Return the jobs to start now; None to ask the owner first.

    Raises InvalidBody for an outline that could not be approved, or a rest that makes no sense.
    """
    questions = open_questions(outline)
    if rest.state is JobState.NEEDS_INPUT:
        if not questions:
            raise InvalidBody("/questions: expected an open question, got none")
        return None
    if questions:
        raise InvalidBody(f"/questions: expected answers, got {questions} open")
    approved = stored is not None and stored.approved is not None
    children = await children_of(
        outline,
        job,
        submission=Submission(
            store=context.store,
            kinds=context.kinds,
            tenant=job.tenant,
            webhook_hosts=context.webhook_hosts,
        ),
        files=None if approved else _files(context, job),
    )
    if rest.state is JobState.WAITING:
        if not approved:
            raise InvalidBody("state: expected AWAITING_APPROVAL before an approval")
        if not children or job.stop_requested:
            raise InvalidBody(
                "state: expected a report, got WAITING for nothing to start"
            )
        return children
    if not (rest.approved and job.spec.get("approve") == "auto"):
        return None
    require_runnable(outline)
    queued = await queued_jobs(context.store, job.tenant)
    return children if queued + len(children) <= context.max_queued_jobs else None


def _files(context: DispatchContext, job: JobRecord) -> set[str]:
    """Return the digests of the plan's own files."""
    spec: Spec = context.kinds[job.kind].spec.model_validate(dict(job.spec), strict=False)
    return {reference.digest for reference in spec.artifacts().values()}

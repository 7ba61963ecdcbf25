"""Use cases of outlines, shared by API routes and web forms: read, edit, answer, approve."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from search.rest import MAX_MEMO_BYTES
from services.bus import QUEUE
from services.errors import Conflict, InvalidBody
from services.gateway import operations
from services.gateway.deps import Context, Principal, visible_tenant
from services.plans.jobs import children_of, leaf_jobs
from services.plans.outlines import (
    OUTLINE,
    edited,
    memo_of,
    read_outline,
    refused,
    require_runnable,
)
from services.plans.patches import patched
from services.store import codec
from services.store.types import Approval, JobRecord, MemoRecord
from trimtab.plans import Outline, PatchOperation
from trimtab.results import JobState


async def view(context: Context, principal: Principal, job_id: str) -> dict[str, Any]:
    """Return an outline as OutlineView. Raises NotFound, and Conflict for a job without one."""
    memo = await _memo(context, principal, job_id)
    return await _shown(context, job_id, memo)


async def edit(
    context: Context,
    principal: Principal,
    job_id: str,
    *,
    revision: int,
    patch: Sequence[PatchOperation],
) -> dict[str, Any]:
    """Change an outline; the whole of it is checked, and a refusal changes nothing.

    Raises NotFound, Conflict and InvalidBody.
    """
    tenant = visible_tenant(principal)
    job = await context.store.get(job_id, tenant=tenant)
    memo = await _memo(context, principal, job_id)

    def change() -> Outline:
        before = read_outline(memo.body)
        return edited(before, patched(memo.body[OUTLINE], patch))

    outline = await asyncio.to_thread(change)
    if job.state is JobState.AWAITING_APPROVAL:
        submission = operations.submission_of(context, job.tenant)
        await children_of(outline, job, submission=submission)
    new = memo_of(memo.body, outline)
    if (size := len(codec.dumps(new.body))) > MAX_MEMO_BYTES:
        raise InvalidBody(
            f"(body): expected an outline of at most {MAX_MEMO_BYTES:,} bytes, got {size:,}",
            fix="upload large values as files",
        )
    stored = await context.store.put_memo(job_id, new, revision=revision, tenant=tenant)
    context.bus.notify(job_id)
    return await _shown(context, job_id, stored)


async def answer(
    context: Context,
    principal: Principal,
    job_id: str,
    *,
    revision: int,
    answers: Mapping[str, str],
) -> JobRecord:
    """Answer questions of a plan, which then runs again.

    Raises NotFound, Conflict and InvalidBody.
    """
    memo = await _memo(context, principal, job_id)
    outline = read_outline(memo.body)
    for name in answers:
        if name not in outline.questions:
            known = ", ".join(outline.questions) or "(none)"
            raise refused(
                ("answers", name),
                f"one of the questions {known}",
                name,
                fix="read them again",
            )
    outline = outline.model_copy(update={"answers": {**outline.answers, **answers}})
    job = await context.store.answer(
        job_id,
        memo_of(memo.body, outline),
        revision=revision,
        tenant=visible_tenant(principal),
    )
    _wake(context, job_id)
    return job


async def approve(
    context: Context, principal: Principal, job_id: str, *, revision: int, digest: str
) -> JobRecord:
    """Start the jobs of a plan. Repeating it changes nothing.

    Raises NotFound, Conflict, InvalidBody and TooManyRequests.
    """
    tenant = visible_tenant(principal)
    job = await context.store.get(job_id, tenant=tenant)
    memo = await _memo(context, principal, job_id)
    approval = Approval(digest=digest)
    if job.state is JobState.AWAITING_APPROVAL and memo.digest == digest:
        outline = read_outline(memo.body)
        require_runnable(outline)
        submission = operations.submission_of(context, job.tenant)
        children = await children_of(outline, job, submission=submission)
        await operations.check_queue_quota(context, principal, len(children))
        approval = Approval(digest=digest, children=children)
    approved = await context.store.approve(
        job_id, approval, revision=revision, tenant=tenant
    )
    _wake(context, job_id)
    return approved


def _wake(context: Context, job_id: str) -> None:
    context.bus.notify(QUEUE)
    context.bus.notify(job_id)


async def _memo(context: Context, principal: Principal, job_id: str) -> MemoRecord:
    memo = await context.store.memo(job_id, tenant=visible_tenant(principal))
    if memo is None:
        raise Conflict(
            f"job {job_id}: expected a plan with an outline, got a job without one",
            fix="wait until the plan NEEDS_INPUT or is AWAITING_APPROVAL",
        )
    return memo


async def _shown(context: Context, job_id: str, memo: MemoRecord) -> dict[str, Any]:
    jobs = await leaf_jobs(context.store, job_id)
    return {
        "job_id": job_id,
        "revision": memo.revision,
        "digest": memo.digest,
        "outline": memo.body[OUTLINE],
        "jobs": {leaf: job.id for leaf, job in jobs.items()},
    }

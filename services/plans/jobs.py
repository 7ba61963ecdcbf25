"""Jobs of a plan in the store: those to start for an outline, and what a woken run finds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import orjson

from search.rest import EndedJob, Woken
from services.errors import InvalidBody, ServiceError, StoreUnavailable
from services.plans.outlines import (
    LEAF_LABEL,
    jobs_of,
    parse_leaf,
    pointer,
    refused,
    require_stated_webhooks,
)
from services.store.types import JobFilter, JobRecord, JobStore, NewJob
from services.submission import Submission
from trimtab.plans import MAX_LEAVES, MAX_REPAIRS, Outline

_MOST = MAX_LEAVES * (1 + MAX_REPAIRS) + 1  # the plan itself too
# Results of all jobs together, as JSON. Beyond it, they lose their traces.
MAX_WOKEN_BYTES = 32 * 2**20


async def leaf_jobs(store: JobStore, plan_id: str) -> dict[str, JobRecord]:
    """Return the jobs that a plan has started, by leaf, without specs and results."""
    listed = await store.list_jobs(JobFilter(graph=plan_id), limit=_MOST)
    return {job.labels[LEAF_LABEL]: job for job in reversed(listed) if job.id != plan_id}


async def children_of(
    outline: Outline,
    plan: JobRecord,
    *,
    submission: Submission,
    files: Collection[str] | None = None,
) -> list[NewJob]:
    """Return the jobs that are still to start for an outline. Raises InvalidBody.

    submission: where the jobs of the plan's tenant go. files: digests that the leaves may read;
    None: any of the tenant's.
    """
    started = await leaf_jobs(submission.store, plan.id)
    have = {leaf: job.id for leaf, job in started.items()}
    require_stated_webhooks(outline, str(plan.spec.get("goal", "")))
    bodies = jobs_of(outline, have, plan_id=plan.id, max_attempts=plan.max_attempts)
    requests = [
        parse_leaf(name, body, submission.kinds, plan_kind=plan.kind)
        for name, body in bodies.items()
    ]
    children = []
    for index, name in enumerate(bodies):
        try:
            child = await submission.new_job(requests, index)
        except StoreUnavailable:
            raise
        except ServiceError as error:
            raise _at_leaf(name, error) from error
        if files is not None and (foreign := set(child.artifacts) - set(files)):
            raise refused(
                ("leaves", name, "spec"), "files of the plan alone", min(foreign)
            )
        children.append(child)
    return children


async def woken_of(store: JobStore, plan: JobRecord, *, site: str = "") -> Woken:
    """Return what the next run of a plan finds. Raises ValueError if it is too large.

    site: address of the server, for links in the report; empty where it is not known.
    """
    memo = await store.memo(plan.id)
    if memo is None:
        raise ValueError("memo: expected one of a job that was at rest, got none")
    jobs = {}
    for leaf, listed in (await leaf_jobs(store, plan.id)).items():
        if listed.state.is_terminal:
            jobs[leaf] = await _ended(store, await store.get(listed.id))
    return Woken(
        memo=memo.body,
        jobs=_bounded(jobs),
        stop_requested=plan.stop_requested,
        approved=memo.approved is not None,
        site=site,
    )


async def _ended(store: JobStore, job: JobRecord) -> EndedJob:
    attempts = await store.attempts(job.id)
    began = attempts[0].started_us if attempts else None
    ended = job.finished_us
    return EndedJob(
        id=job.id,
        fence=job.fence,
        kind=job.kind,
        state=job.state,
        spec=job.spec,
        budget=job.budget,
        seed=job.seed,
        termination=job.termination,
        result=job.result,
        seconds=0.0 if began is None or ended is None else (ended - began) / 1e6,
    )


def _bounded(jobs: dict[str, EndedJob]) -> dict[str, EndedJob]:
    def size() -> int:
        return sum(len(orjson.dumps(job.result)) for job in jobs.values())

    if size() > MAX_WOKEN_BYTES:
        jobs = {
            leaf: job
            if job.result is None
            else replace(job, result={**job.result, "trace": []})
            for leaf, job in jobs.items()
        }
    if (bytes_ := size()) > MAX_WOKEN_BYTES:
        raise ValueError(
            f"results of the plan's jobs: expected at most {MAX_WOKEN_BYTES:,} bytes without "
            f"their traces, got {bytes_:,}; split the plan"
        )
    return jobs


def _at_leaf(name: str, error: ServiceError) -> InvalidBody:
    """Return an error of a leaf's job with its place in the outline."""
    at = pointer(("leaves", name))
    detail = error.detail
    if detail.startswith("job ") and ": " in detail:  # `job 3: spec.model: ...`
        detail = detail.split(": ", 1)[1]
    errors = [
        {**entry, "path": at + pointer(str(entry.get("path", "")).split("."))}
        for entry in error.errors
    ]
    return InvalidBody(f"{at}: {detail}", errors=errors, fix=error.fix)

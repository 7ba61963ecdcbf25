"""`/v1/jobs`: submit, list, get, wait, cancel, stop, retry, delete."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import AfterValidator, TypeAdapter, ValidationError
from starlette.responses import Response

from services.bus import wait_for
from services.errors import BadRequest, InvalidBody, NotFound, Unauthorized
from services.gateway import events as event_stream
from services.gateway import graph, listing, operations
from services.gateway.bodies import body_of, json_body
from services.gateway.deps import Context, Ctx, Submitter, Viewer, visible_tenant
from services.gateway.filters import require_kinds
from services.gateway.problems import documented, from_validation
from services.gateway.views import FastJson, job_view
from services.store.types import JobRecord
from trimtab.results import JobPage, JobView
from trimtab.specs.common import JobChanges, JobRequest

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
batch_router = APIRouter(prefix="/v1", tags=["jobs"])

MAX_WAIT_S = 60.0
JOB_ID = re.compile(r"^job_[0-9A-Z]{26}\Z")
_KEY = re.compile(r"^[\x21-\x7e]{1,200}$")
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="1 to 200 visible ASCII characters. Repeating key and body returns the "
        "same job; another body with the same key is 409.",
    ),
]


def _job_id(text: str) -> str:
    """Raise NotFound for text that cannot be an id, without asking the database."""
    if not JOB_ID.match(text):
        raise NotFound(
            f"job_id: expected job_ and 26 letters and digits, got {text[:100]!r}",
            fix="list your jobs: GET /v1/jobs",
        )
    return text


JobId = Annotated[str, Path(description="id of the job"), AfterValidator(_job_id)]

EXAMPLE = {
    "kind": "ilp",
    "spec": {
        "model_text": "Minimize\n obj: x + 2 y\nSubject To\n c1: x + y >= 1.5\n"
        "Bounds\n x <= 1\nGeneral\n x y\nEnd\n",
        "format": "lp",
    },
    "budget": {"seconds": 10.0},
    "seed": 0,
    "labels": {"project": "demo"},
}


def checked_key(key: str | None) -> str | None:
    """Return an idempotency key. Raises BadRequest unless it is short visible ASCII."""
    if key is not None and not _KEY.match(key):
        raise BadRequest(
            f"Idempotency-Key: expected 1 to 200 visible ASCII characters, got {key[:40]!r}",
            fix="use a UUID",
        )
    return key


@router.post(
    "",
    status_code=202,
    response_model=JobView,
    responses={
        202: {
            "description": "Stored. `Idempotency-Replayed: true` if the key was used before "
            "with this body.",
            "headers": {
                "Location": {"schema": {"type": "string"}},
                "Idempotency-Replayed": {"schema": {"type": "string"}},
                "RateLimit": {"schema": {"type": "string"}},
                "RateLimit-Policy": {"schema": {"type": "string"}},
            },
        },
        **documented(400, 409, 413, 415, 422, 503),
    },
    openapi_extra={"requestBody": "JobRequest"},
    summary="Submit a job",
)
async def submit_job(
    request: Request,
    ctx: Ctx,
    principal: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """The job is durable when this returns: no crash loses it afterwards."""
    body = await json_body(request)
    key = checked_key(idempotency_key)
    try:
        parsed: JobRequest = ctx.request_adapter.validate_json(body)
    except ValidationError as error:
        raise from_validation(error, kinds=ctx.kinds) from error
    (submitted,) = await operations.submit(ctx, principal, [parsed], idempotency_key=key)
    job = submitted.job
    headers = {
        "Location": f"/v1/jobs/{job.id}",
        **operations.rate_headers(ctx, principal),
    }
    if submitted.replayed:
        headers["Idempotency-Replayed"] = "true"
    return FastJson(job_view(job, job.created_us), status_code=202, headers=headers)


@batch_router.post(
    "/jobs:batch",
    status_code=202,
    responses={
        202: {"description": "All jobs are stored, in order"},
        **documented(400, 409, 413, 415, 422, 503),
    },
    openapi_extra={"requestBody": "JobBatch"},
    summary="Submit several jobs, all or none",
)
async def submit_batch(
    request: Request,
    ctx: Ctx,
    principal: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """One transaction. An invalid job is reported with its index, and nothing is stored.

    In `after`, and as the `job` of a file, `#N` names the job with index N, counted from 0; it must
    come earlier in the batch.
    """
    body = await json_body(request)
    key = checked_key(idempotency_key)
    limit = ctx.settings.max_batch_jobs
    try:
        parsed = TypeAdapter(dict[str, list[Any]]).validate_json(body)
    except ValidationError as error:
        raise from_validation(error) from error
    if set(parsed) != {"jobs"} or not 1 <= len(parsed["jobs"]) <= limit:
        got = (
            f"{len(parsed['jobs'])} jobs"
            if "jobs" in parsed
            else f"fields {sorted(parsed)[:5]}"
        )
        raise InvalidBody(
            f"(body): expected {{'jobs': [...]}} with 1 to {limit} jobs, got {got}",
            fix="send larger batches in parts",
        )
    # Validating thousands of specs takes a while: not on the event loop.
    requests = await asyncio.to_thread(_validated, ctx, parsed["jobs"])
    graph.require_few_edges(requests)
    submitted = await operations.submit(ctx, principal, requests, idempotency_key=key)
    headers = operations.rate_headers(ctx, principal)
    if submitted[0].replayed:
        headers["Idempotency-Replayed"] = "true"
    items = [job_view(one.job, one.job.created_us) for one in submitted]
    return FastJson({"items": items}, status_code=202, headers=headers)


def _validated(ctx: Context, jobs: list[Any]) -> list[JobRequest]:
    """Parse the jobs of a batch. Raises InvalidBody with the index of the first bad one."""
    requests = []
    for index, item in enumerate(jobs):
        try:
            requests.append(ctx.request_adapter.validate_json(orjson.dumps(item)))
        except ValidationError as error:
            problem = from_validation(error, kinds=ctx.kinds)
            problem.errors = [
                {
                    **entry,
                    "path": f"jobs.{index}.{entry['path']}",
                    "message": f"jobs.{index}.{entry['message']}",
                }
                for entry in problem.errors
            ]
            problem.detail = f"jobs.{index}.{problem.detail}"
            raise problem from error
        except TypeError as error:  # an integer that does not fit 64 bits
            raise InvalidBody(f"jobs.{index}: {error}") from error
    return requests


@router.get(
    "",
    response_model=JobPage,
    responses=documented(400, 422, 503),
    summary="List, search and sort jobs",
)
async def list_jobs(
    ctx: Ctx, principal: Viewer, query: Annotated[listing.ListQuery, Query()]
) -> Response:
    """Pass `next_cursor` as `cursor` until it is null. New jobs do not shift the pages."""
    chosen, limit = query.listing(), query.limit
    require_kinds(chosen.all("kind"), ctx.kinds)
    order = chosen.order()
    jobs = await ctx.store.list_jobs(
        chosen.filter(visible_tenant(principal)),
        limit=limit + 1,
        order=order,
        after=listing.position_of(query.cursor, order) if query.cursor else None,
    )
    now_us = await ctx.store.now_us()
    more = len(jobs) > limit
    next_cursor = listing.cursor_of(jobs[limit - 1], order) if more else None
    items = [job_view(job, now_us) for job in jobs[:limit]]
    return FastJson({"items": items, "next_cursor": next_cursor})


@router.get(
    "/{job_id}",
    response_model=JobView,
    responses=documented(404, 503),
    summary="Get a job",
)
async def get_job(job_id: JobId, ctx: Ctx, principal: Viewer) -> Response:
    """State, best solution, termination. `heartbeat_age_s` shows if a running job is alive."""
    return FastJson(
        await _detailed(
            ctx, await ctx.store.get(job_id, tenant=visible_tenant(principal))
        )
    )


async def _detailed(ctx: Context, job: JobRecord) -> dict[str, Any]:
    """Return the view of one job with the delivery state of its webhook."""
    return {
        **job_view(job, await ctx.store.now_us()),
        "webhook": await operations.webhook(ctx, job),
        **await graph.relatives_view(ctx, job),
    }


@router.get(
    "/{job_id}/wait",
    response_model=JobView,
    responses=documented(404, 422, 503),
    summary="Wait until a job ends",
)
async def wait_job(
    job_id: JobId,
    ctx: Ctx,
    principal: Viewer,
    timeout_s: Annotated[
        float, Query(ge=0, le=MAX_WAIT_S, description="longest wait, seconds")
    ] = 30.0,
) -> Response:
    """Returns when the job has ended or after `timeout_s`; check `state` and ask again."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    tenant = visible_tenant(principal)
    with ctx.bus.listen(job_id) as changed, ctx.lifetime.waiting(changed):
        while True:
            changed.clear()
            if why := await ctx.keyring.why_ended(principal):
                raise Unauthorized(why, fix="use a key that works")
            job = await ctx.store.get(job_id, tenant=tenant)
            left = deadline - loop.time()
            if job.state.is_terminal or left <= 0 or ctx.lifetime.closing:
                return FastJson(await _detailed(ctx, job))
            await wait_for(changed, min(left, event_stream.poll_s(ctx)))


def _verb_route(verb: str, summary: str, text: str) -> None:
    async def act(job_id: JobId, ctx: Ctx, principal: Submitter) -> Response:
        job = await operations.act(ctx, principal, job_id, verb)
        return FastJson(job_view(job, await ctx.store.now_us()), status_code=202)

    act.__doc__ = text
    act.__name__ = f"{verb}_job"
    router.add_api_route(
        f"/{{job_id}}/{verb}",
        act,
        methods=["POST"],
        status_code=202,
        response_model=JobView,
        responses=documented(404, 409, 503),
        summary=summary,
    )


_verb_route(
    "cancel",
    "Cancel a job and discard its result",
    "A queued job ends at once; a running one is killed with all its processes.",
)
_verb_route(
    "stop",
    "Stop a job and keep its best solution",
    "The run returns its best solution within seconds, and the job SUCCEEDS.",
)
_verb_route(
    "retry",
    "Run an ended job again",
    "A FAILED, CANCELLED or DEAD job returns to QUEUED with its attempts reset. Jobs that it had "
    "SKIPPED wait again.",
)


@router.patch(
    "/{job_id}",
    response_model=JobView,
    responses=documented(400, 404, 413, 415, 422, 503),
    openapi_extra={"requestBody": "JobChanges"},
    summary="Rename or relabel a job",
)
async def change_job(
    request: Request, job_id: JobId, ctx: Ctx, principal: Submitter
) -> Response:
    """Changes name or labels, in every state. The run does not read them."""
    changes = await body_of(request, JobChanges)
    job = await operations.rename(ctx, principal, job_id, changes)
    return FastJson(await _detailed(ctx, job))


@router.delete(
    "/{job_id}",
    status_code=204,
    responses=documented(404, 409, 503),
    summary="Delete an ended job",
)
async def delete_job(job_id: JobId, ctx: Ctx, principal: Submitter) -> Response:
    """Removes the job, its events and attempts. Files no job refers to expire days later."""
    await operations.delete(ctx, principal, job_id)
    return Response(status_code=204)

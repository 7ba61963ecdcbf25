"""/v1/jobs: submit, look, wait, listen, end, repeat."""

from __future__ import annotations

import asyncio
import base64
import re
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import AfterValidator, AwareDatetime, TypeAdapter, ValidationError
from starlette.responses import FileResponse, Response, StreamingResponse

from services.bus import wait_for
from services.errors import BadRequest, InvalidBody, NotFound, UnsupportedMedia
from services.gateway import events as event_stream
from services.gateway import operations
from services.gateway.deps import Context, Principal, context, require, visible_tenant
from services.gateway.problems import documented, from_validation
from services.gateway.views import FastJson, attempt_view, event_view, input_view, job_view
from services.store.types import JobFilter, JobRecord
from trimtab.results import Attempt, Event, JobPage, JobState, JobView, RunResult
from trimtab.specs.common import JobRequest

SVG = "image/svg+xml"

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
batch_router = APIRouter(prefix="/v1", tags=["jobs"])

MAX_WAIT_S = 60.0
JOB_ID = re.compile(r"^job_[0-9A-Z]{26}\Z")
_KEY = re.compile(r"^[\x21-\x7e]{1,200}$")
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="1 to 200 visible ASCII characters. The same key and body again is the same job; another body is 409.",
    ),
]
Ctx = Annotated[Context, Depends(context)]
Viewer = Annotated[Principal, Depends(require("viewer"))]
Submitter = Annotated[Principal, Depends(require("submitter"))]


def _job_id(given: str) -> str:
    """No database is asked about what cannot be an id. Raises NotFound, after the key was checked."""
    if not JOB_ID.match(given):
        raise NotFound(f"no job {given[:100]!r}; an id is job_ and 26 letters and digits")
    return given


JobId = Annotated[str, AfterValidator(_job_id)]

EXAMPLE = {
    "kind": "ilp",
    "spec": {
        "model_text": "Minimize\n obj: x + 2 y\nSubject To\n c1: x + y >= 1.5\nBounds\n x <= 1\nGeneral\n x y\nEnd\n",
        "format": "lp",
    },
    "budget": {"seconds": 10.0},
    "seed": 0,
    "labels": {"project": "demo"},
}


async def _json_body(request: Request) -> bytes:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise UnsupportedMedia(
            f"Content-Type {media[:80]!r} came; wanted application/json",
            fix="send `Content-Type: application/json`",
        )
    return await request.body()


def _checked_key(key: str | None) -> str | None:
    if key is not None and not _KEY.match(key):
        raise BadRequest(
            "Idempotency-Key wants 1 to 200 visible ASCII characters", fix="use a UUID"
        )
    return key


@router.post(
    "",
    status_code=202,
    response_model=JobView,
    responses={
        202: {
            "description": "Stored. `Idempotency-Replayed: true` when this key had been used with this body.",
            "headers": {
                "Location": {"schema": {"type": "string"}},
                "Idempotency-Replayed": {"schema": {"type": "string"}},
                "RateLimit": {"schema": {"type": "string"}},
                "RateLimit-Policy": {"schema": {"type": "string"}},
            },
        },
        **documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
    },
    openapi_extra={"requestBody": "JobRequest"},
    summary="Submit a job",
)
async def submit_job(
    request: Request, ctx: Ctx, principal: Submitter, idempotency_key: IdempotencyKey = None
) -> Response:
    """The job is stored before this answers: nothing is lost afterwards, whatever crashes."""
    body = await _json_body(request)
    key = _checked_key(idempotency_key)
    try:
        parsed: JobRequest = ctx.request_adapter.validate_json(body)
    except ValidationError as error:
        raise from_validation(error, kinds=ctx.kinds) from error
    (submitted,) = await operations.submit(ctx, principal, [parsed], idempotency_key=key)
    job = submitted.job
    headers = {"Location": f"/v1/jobs/{job.id}", **operations.rate_headers(ctx, principal)}
    if submitted.replayed:
        headers["Idempotency-Replayed"] = "true"
    return FastJson(job_view(job, job.created_us), status_code=202, headers=headers)


@batch_router.post(
    "/jobs:batch",
    status_code=202,
    responses={
        202: {"description": "All stored, in order"},
        **documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
    },
    openapi_extra={"requestBody": "JobBatch"},
    summary="Submit many jobs, all or none",
)
async def submit_batch(
    request: Request, ctx: Ctx, principal: Submitter, idempotency_key: IdempotencyKey = None
) -> Response:
    """One transaction. The first fault of a job names its index; nothing is stored then."""
    body = await _json_body(request)
    key = _checked_key(idempotency_key)
    limit = ctx.settings.max_batch_jobs
    try:
        parsed = TypeAdapter(dict[str, list[Any]]).validate_json(body)
    except ValidationError as error:
        raise from_validation(error) from error
    if set(parsed) != {"jobs"} or not 1 <= len(parsed["jobs"]) <= limit:
        came = (
            f"{len(parsed['jobs'])} jobs"
            if "jobs" in parsed
            else f"fields {sorted(parsed)[:5]}"
        )
        raise InvalidBody(
            f"{came} came; wanted {{'jobs': [...]}} with 1 to {limit} jobs",
            fix="send larger batches in parts",
        )

    def validate() -> list[JobRequest]:
        requests = []
        for index, item in enumerate(parsed["jobs"]):
            try:
                requests.append(ctx.request_adapter.validate_json(orjson.dumps(item)))
            except ValidationError as error:
                problem = from_validation(error, kinds=ctx.kinds)
                problem.errors = [
                    {
                        **e,
                        "path": f"jobs.{index}.{e['path']}",
                        "message": f"jobs.{index}.{e['message']}",
                    }
                    for e in problem.errors
                ]
                problem.detail = f"jobs.{index}.{problem.detail}"
                raise problem from error
            except TypeError as error:  # an integer that does not fit 64 bits
                raise InvalidBody(f"jobs.{index}: {error}") from error
        return requests

    # Thousands of specs take a while to check: not on the event loop.
    requests = await asyncio.to_thread(validate)
    submitted = await operations.submit(ctx, principal, requests, idempotency_key=key)
    headers = operations.rate_headers(ctx, principal)
    if submitted[0].replayed:
        headers["Idempotency-Replayed"] = "true"
    items = [job_view(s.job, s.job.created_us) for s in submitted]
    return FastJson({"items": items}, status_code=202, headers=headers)


@router.get(
    "",
    response_model=JobPage,
    responses=documented(400, 401, 403, 422, 429, 503),
    summary="List jobs, newest first",
)
async def list_jobs(
    ctx: Ctx,
    principal: Viewer,
    state: Annotated[list[JobState] | None, Query(description="repeat for several")] = None,
    kind: Annotated[
        list[str] | None, Query(max_length=20, description="repeat for several")
    ] = None,
    label: Annotated[
        list[str] | None,
        Query(max_length=32, description="key:value; repeat for several, all must hold"),
    ] = None,
    created_after: AwareDatetime | None = None,
    created_before: AwareDatetime | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Give `next_cursor` back as `cursor` until it is null. Jobs submitted meanwhile do not shift the pages."""
    labels = {}
    for item in label or ():
        key, colon, value = item.partition(":")
        if not colon or not key or "\x00" in item:
            raise BadRequest(f"label {item[:100]!r} came; wanted key:value")
        labels[key] = value
    if any("\x00" in k for k in kind or ()):
        raise BadRequest("a kind holds no NUL character")
    where = JobFilter(
        tenant=visible_tenant(principal),
        states=tuple(state or ()),
        kinds=tuple(kind or ()),
        labels=labels,
        created_after_us=round(created_after.timestamp() * 1e6) if created_after else None,
        created_before_us=round(created_before.timestamp() * 1e6)
        if created_before
        else None,
    )
    before = _from_cursor(cursor) if cursor else None
    jobs = await ctx.store.list_jobs(where, limit=limit + 1, before_id=before)
    now_us = await ctx.store.now_us()
    more = len(jobs) > limit
    return FastJson(
        {
            "items": [job_view(job, now_us) for job in jobs[:limit]],
            "next_cursor": base64.urlsafe_b64encode(jobs[limit - 1].id.encode()).decode()
            if more
            else None,
        }
    )


def _from_cursor(cursor: str) -> str:
    try:
        job_id = base64.urlsafe_b64decode(cursor.encode("ascii")).decode("ascii")
    except (ValueError, UnicodeError):
        job_id = ""
    if not JOB_ID.match(job_id):
        raise BadRequest(
            "this cursor is not one of ours", fix="give back `next_cursor` as it came"
        )
    return job_id


@router.get(
    "/{job_id}",
    response_model=JobView,
    responses=documented(401, 403, 404, 429, 503),
    summary="One job",
)
async def get_job(job_id: JobId, ctx: Ctx, principal: Viewer) -> Response:
    """State, best, termination; `heartbeat_age_s` tells whether a RUNNING job is alive."""
    return FastJson(
        await _one(ctx, await ctx.store.get(job_id, tenant=visible_tenant(principal)))
    )


async def _one(ctx: Context, job: JobRecord) -> dict[str, Any]:
    """The view of one job, with what became of its webhook."""
    return {
        **job_view(job, await ctx.store.now_us()),
        "webhook": await operations.webhook(ctx, job),
    }


@router.get(
    "/{job_id}/wait",
    response_model=JobView,
    responses=documented(401, 403, 404, 422, 429, 503),
    summary="Wait until a job ends",
)
async def wait_job(
    job_id: JobId,
    ctx: Ctx,
    principal: Viewer,
    timeout_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = 30.0,
) -> Response:
    """Answers when the job is terminal or `timeout_s` is over, whichever comes first; look at `state`, ask again."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    tenant = visible_tenant(principal)
    with ctx.bus.listen(job_id) as changed, ctx.lifetime.waiting(changed):
        while True:
            changed.clear()
            job = await ctx.store.get(job_id, tenant=tenant)
            left = deadline - loop.time()
            if job.state.is_terminal or left <= 0 or ctx.lifetime.closing:
                return FastJson(await _one(ctx, job))
            await wait_for(changed, min(left, event_stream.poll_s(ctx)))


@router.get(
    "/{job_id}/events",
    responses={
        200: {
            "description": "Server-sent events; with `format=json` a list of `Event`.",
            "content": {
                "text/event-stream": {"schema": {"type": "string"}},
                "application/json": {
                    "schema": {
                        "type": "array",
                        "items": {"$ref": "#/components/schemas/Event"},
                    }
                },
            },
        },
        **documented(400, 401, 403, 404, 422, 429, 503),
    },
    summary="Listen to a job",
)
async def job_events(
    job_id: JobId,
    ctx: Ctx,
    principal: Viewer,
    after_seq: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    format: Annotated[str, Query(pattern="^(sse|json)$")] = "sse",
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> Response:
    """Event name = type, id = seq, data = an `Event`. Resume by `Last-Event-ID`. Ends with the event `end`."""
    await ctx.store.get(job_id, tenant=visible_tenant(principal))
    if last_event_id:
        if (
            not last_event_id.isascii()
            or not last_event_id.isdigit()
            or len(last_event_id) > 9
        ):
            raise BadRequest(
                f"Last-Event-ID {last_event_id[:40]!r} came; wanted the id of an event"
            )
        after_seq = max(after_seq, int(last_event_id))
    if format == "json":
        found = await ctx.store.events(job_id, after_seq=after_seq, limit=1000)
        return FastJson([event_view(event) for event in found])
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        event_stream.stream(ctx, job_id, after_seq=after_seq),
        media_type="text/event-stream",
        headers=headers,
    )


@router.get(
    "/{job_id}/attempts",
    response_model=list[Attempt],
    responses=documented(401, 403, 404, 429, 503),
    summary="Runs of a job",
)
async def job_attempts(job_id: JobId, ctx: Ctx, principal: Viewer) -> Response:
    """Which worker ran it when, under which fence, and how that ended."""
    await ctx.store.get(job_id, tenant=visible_tenant(principal))
    return FastJson([attempt_view(attempt) for attempt in await ctx.store.attempts(job_id)])


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
        responses=documented(401, 403, 404, 409, 429, 503),
        summary=summary,
    )


_verb_route(
    "cancel",
    "End now, discard",
    "A queued job ends at once; a running one is killed, with all it started.",
)
_verb_route(
    "stop",
    "End now, keep the best",
    "The run hands in what it has within seconds and the job SUCCEEDS.",
)
_verb_route(
    "retry",
    "Drive an ended job again",
    "FAILED, CANCELLED or DEAD goes back to QUEUED with attempts reset.",
)


@router.delete(
    "/{job_id}",
    status_code=204,
    responses=documented(401, 403, 404, 409, 429, 503),
    summary="Forget an ended job",
)
async def delete_job(job_id: JobId, ctx: Ctx, principal: Submitter) -> Response:
    """Removes the job, its events and attempts; its files go some days later unless another job refers to them."""
    await ctx.store.delete(job_id, tenant=visible_tenant(principal))
    ctx.bus.notify(job_id)
    return Response(status_code=204)


@router.get(
    "/{job_id}/result",
    response_model=RunResult,
    responses=documented(401, 403, 404, 409, 429, 503),
    summary="The result of a job",
)
async def job_result(job_id: JobId, ctx: Ctx, principal: Viewer) -> Response:
    """Incumbent, bound, trace, verification, termination, seed, versions; files by name in `artifacts`."""
    job = await operations.result(ctx, principal, job_id)
    headers = {"Content-Disposition": f'inline; filename="{job_id}-result.json"'}
    return FastJson(dict(job.result or {}), headers=headers)


@router.get(
    "/{job_id}/input",
    responses={200: {"description": "A JobRequest"}, **documented(401, 403, 404, 429, 503)},
    summary="The request that repeats a job",
)
async def job_input(job_id: JobId, ctx: Ctx, principal: Viewer) -> Response:
    """POST it to /v1/jobs to run the same again: same spec, budget and seed."""
    job = await ctx.store.get(job_id, tenant=visible_tenant(principal))
    headers = {"Content-Disposition": f'inline; filename="{job_id}-input.json"'}
    return FastJson(input_view(job), headers=headers)


@router.get(
    "/{job_id}/artifacts/{name}",
    response_class=Response,
    responses={
        200: {
            "description": "The file",
            "content": {
                "application/octet-stream": {
                    "schema": {"type": "string", "format": "binary"}
                }
            },
        },
        **documented(401, 403, 404, 409, 429, 503),
    },
    summary="A produced file",
)
async def job_artifact(job_id: JobId, name: str, ctx: Ctx, principal: Viewer) -> Response:
    """Download a file of the result by its name."""
    job = await operations.result(ctx, principal, job_id)
    references = (job.result or {}).get("artifacts", {})
    if name not in references:
        have = ", ".join(references) or "none"
        raise NotFound(f"job {job_id} left no file {name[:100]!r}; it left: {have}")
    reference = references[name]
    return file_response(
        ctx, str(reference["digest"]), name, picture=reference.get("media_type") == SVG
    )


def file_response(
    ctx: Context, digest: str, name: str, *, picture: bool = False
) -> Response:
    """The bytes of a digest as a download: never shown by a browser as a page of ours.

    A picture that a run drew keeps its type, so that the job page can show it in an <img>, where nothing in it can run;
    opened by itself it is a download still, and its policy lets it load and run nothing.
    """
    safe = re.sub(r"[^A-Za-z0-9._\-]", "_", name)[:150] or "file"
    headers = {
        "Content-Disposition": f'attachment; filename="{safe}"',
        "ETag": f'"{digest}"',
    }
    if picture:
        headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        )
    media_type = SVG if picture else "application/octet-stream"
    return FileResponse(ctx.blobs.path(digest), media_type=media_type, headers=headers)


__all__ = ["EXAMPLE", "Event", "batch_router", "router"]

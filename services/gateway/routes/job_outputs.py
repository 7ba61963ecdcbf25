"""`/v1/jobs/{job_id}/...`: events, attempts, result, input and files of a job."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import (
    PlainTextResponse,
    Response,
    StreamingResponse,
)

from search import checkpoint
from search.drawing.pictures import draw_picture
from services.errors import BadRequest, NotFound
from services.gateway import events as event_stream
from services.gateway import job_log as job_log_text
from services.gateway import operations
from services.gateway.deps import Ctx, Viewer, visible_tenant
from services.gateway.downloads import PICTURE_POLICY, SVG, WatchedFile, file_response
from services.gateway.problems import documented
from services.gateway.routes.jobs import JobId
from services.gateway.views import FastJson, attempt_view, event_view, input_view
from services.gateway.watch import Watch
from trimtab.pictures import MOST_PICTURES, read_pictures
from trimtab.results import SOLUTION_FILE, Attempt, IncumbentValues, RunResult

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"])
_EVENTS = {"type": "array", "items": {"$ref": "#/components/schemas/Event"}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.get(
    "/events",
    responses={
        200: {
            "description": "Server-sent events; with `format=json` a list of `Event`.",
            "content": {
                "text/event-stream": {"schema": {"type": "string"}},
                "application/json": {"schema": _EVENTS},
            },
        },
        **documented(400, 404, 422, 503),
    },
    summary="Stream the events of a job",
)
async def job_events(
    job_id: JobId,
    ctx: Ctx,
    principal: Viewer,
    after_seq: Annotated[
        int, Query(ge=0, le=2**31 - 1, description="begin after the event of this number")
    ] = 0,
    format: Annotated[
        str,
        Query(
            pattern="^(sse|json)$",
            description="`sse`: a stream until the job ends; `json`: the stored events, "
            "at most 1,000",
        ),
    ] = "sse",
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            description="like `after_seq`, as browsers send it; the later one counts",
        ),
    ] = None,
) -> Response:
    """Event name = type, id = `seq`, data = an `Event`. Resume with `Last-Event-ID`.

    The stream ends with the event `end`.
    """
    await ctx.store.get(job_id, tenant=visible_tenant(principal))
    if last_event_id:
        if (
            not last_event_id.isascii()
            or not last_event_id.isdigit()
            or len(last_event_id) > 9
        ):
            raise BadRequest(
                f"Last-Event-ID: expected the id of an event, got {last_event_id[:40]!r}"
            )
        after_seq = max(after_seq, int(last_event_id))
    if format == "json":
        events = await ctx.store.events(job_id, after_seq=after_seq, limit=1000)
        return FastJson([event_view(event) for event in events])
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        event_stream.stream(ctx, job_id, after_seq=after_seq, principal=principal),
        media_type="text/event-stream",
        headers=headers,
    )


@router.get(
    "/pictures/{number}",
    response_class=Response,
    responses={
        200: {
            "description": "An SVG document",
            "content": {SVG: {"schema": {"type": "string"}}},
        },
        **documented(404, 422, 503),
    },
    summary="Draw a picture of the newest incumbent",
)
async def job_picture(
    job_id: JobId,
    number: Annotated[
        int, Path(ge=0, lt=MOST_PICTURES, description="number of the picture, from 0")
    ],
    ctx: Ctx,
    principal: Viewer,
    at: Annotated[
        float | None,
        Query(
            description="seconds of the incumbent, so that a browser asks again for the next"
        ),
    ] = None,
) -> Response:
    """A picture of the best solution so far, in kinds that draw any, as SVG.

    Its values are in `pictures` of the newest `incumbent` event.
    """
    job = await ctx.store.get(job_id, tenant=visible_tenant(principal))
    pictures = read_pictures((job.best or {}).get("pictures", []))
    if number >= len(pictures):
        raise NotFound(
            f"number: expected a picture of job {job_id}, which has {len(pictures)}, got {number}",
            fix="see `pictures` in the newest event of type `incumbent`; after the end the "
            "pictures are files of the result",
        )
    headers = {
        "Content-Disposition": f'inline; filename="{job_id}-{number}.svg"',
        "Content-Security-Policy": PICTURE_POLICY,
    }
    return Response(draw_picture(pictures[number]), media_type=SVG, headers=headers)


@router.get(
    "/incumbent",
    response_model=IncumbentValues,
    responses=documented(404, 503),
    summary="Download the newest incumbent",
)
async def job_incumbent(job_id: JobId, ctx: Ctx, principal: Viewer) -> Response:
    """Objective and nonzero values of the best solution so far, at most some seconds old.

    It is not checked yet; after the end this is the checked `solution.json` of the result.
    """
    job = await ctx.store.get(job_id, tenant=visible_tenant(principal))
    headers = {
        "Content-Disposition": f'attachment; filename="{job_id}-incumbent.json"',
        "Cache-Control": "no-store",
    }
    reference = (job.result or {}).get("artifacts", {}).get(SOLUTION_FILE)
    if reference is not None:
        path = ctx.blobs.path(str(reference["digest"]))
        watch = Watch(ctx, principal)
        return WatchedFile(
            path, watch=watch, media_type="application/json", headers=headers
        )
    stored = await ctx.store.get_checkpoint(job_id) if job.has_checkpoint else None
    view = b"" if stored is None else await asyncio.to_thread(_view, stored, job.kind)
    if not view:
        raise NotFound(
            f"incumbent: expected a solution of job {job_id}, got none "
            f"({job.kind}, {job.state.value})",
            fix="wait for an event of type `incumbent`; kinds other than ilp show no values",
        )
    return Response(view, media_type="application/json", headers=headers)


def _view(stored: bytes, kind: str) -> bytes:
    """Return the solution of a checkpoint as its owner reads it; empty without one."""
    try:
        return checkpoint.unpack(stored, kind=kind).view
    except checkpoint.BadCheckpoint:
        return b""


@router.get(
    "/log",
    response_class=PlainTextResponse,
    responses={
        200: {
            "description": "Text in UTF-8",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **documented(404, 422, 503),
    },
    summary="Read the engine's log",
)
async def job_log(
    job_id: JobId,
    ctx: Ctx,
    principal: Viewer,
    max_bytes: Annotated[
        int,
        Query(
            ge=1, le=job_log_text.MOST_BYTES, description="length of the end to return"
        ),
    ] = job_log_text.DEFAULT_BYTES,
) -> Response:
    """The end of what HiGHS, SCIP, openEMS and other engines have printed, while the job runs too.

    It ends at a whole line and begins with one. To follow it, read `log` events of level `printed`.
    """
    await ctx.store.get(job_id, tenant=visible_tenant(principal))
    text = await job_log_text.tail(ctx.store, job_id, max_bytes=max_bytes)
    headers = {"Cache-Control": "no-store"}
    return PlainTextResponse(text, headers=headers)


@router.get(
    "/attempts",
    response_model=list[Attempt],
    responses=documented(404, 503),
    summary="List the attempts of a job",
)
async def job_attempts(job_id: JobId, ctx: Ctx, principal: Viewer) -> Response:
    """Worker, times, fence and outcome of each attempt, oldest first."""
    await ctx.store.get(job_id, tenant=visible_tenant(principal))
    return FastJson(
        [attempt_view(attempt) for attempt in await ctx.store.attempts(job_id)]
    )


@router.get(
    "/result",
    response_model=RunResult,
    responses=documented(404, 409, 503),
    summary="Get the result of a job",
)
async def job_result(job_id: JobId, ctx: Ctx, principal: Viewer) -> Response:
    """Incumbent, bound, trace, verification, termination, seed, versions, and `artifacts`."""
    job = await operations.result(ctx, principal, job_id)
    headers = {"Content-Disposition": f'inline; filename="{job_id}-result.json"'}
    return FastJson(dict(job.result or {}), headers=headers)


@router.get(
    "/input",
    responses={200: {"description": "A JobRequest"}, **documented(404, 503)},
    summary="Get the request that repeats a job",
)
async def job_input(job_id: JobId, ctx: Ctx, principal: Viewer) -> Response:
    """POST it to /v1/jobs to run the job again with the same spec, budget and seed."""
    job = await ctx.store.get(job_id, tenant=visible_tenant(principal))
    headers = {"Content-Disposition": f'inline; filename="{job_id}-input.json"'}
    pins = await ctx.store.model_pins(job_id)
    return FastJson(input_view(job, pins.wanted), headers=headers)


@router.get(
    "/artifacts/{name}",
    response_class=Response,
    responses={
        200: {
            "description": "The file",
            "content": {"application/octet-stream": _BINARY},
        },
        **documented(404, 409, 503),
    },
    summary="Download a file of the result",
)
async def job_artifact(
    job_id: JobId,
    name: Annotated[
        str, Path(description="name of the file in the result's `artifacts`")
    ],
    ctx: Ctx,
    principal: Viewer,
) -> Response:
    """A file that the run produced, by its name in `artifacts`."""
    job = await operations.result(ctx, principal, job_id)
    references = (job.result or {}).get("artifacts", {})
    if name not in references:
        names = ", ".join(references) or "no files"
        raise NotFound(
            f"name: expected a file of job {job_id} ({names}), got {name[:100]!r}",
            fix="see `artifacts` in the result",
        )
    reference = references[name]
    digest = str(reference["digest"])
    try:
        await ctx.store.get_artifact(digest, tenant=job.tenant)
    except NotFound:
        raise NotFound(
            f"name: expected a stored file of job {job_id}, got {name[:100]!r}, which its owner or "
            "retention removed",
            fix="run the job again: POST /v1/jobs/{id}/retry, or submit its input again",
        ) from None
    picture = reference.get("media_type") == SVG
    return file_response(ctx, principal, digest, name, picture=picture)

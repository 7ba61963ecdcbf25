"""`/v1/mathopt:solveMathOptModel`: remote solves of OR-Tools MathOpt's own client.

    remote_http_solve(model, SolverType.GSCIP, endpoint="http://…/v1/mathopt:solveMathOptModel",
                      api_key="tt_…", deadline_sec=60)

The request waits for its job. It stops the job at the client's deadline, and when the client hangs
up, and answers with the best solution.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Request
from pydantic import ValidationError
from starlette.responses import Response

from services.bus import wait_for
from services.errors import BadRequest, ServiceError, Unauthorized
from services.gateway import events as event_stream
from services.gateway import operations
from services.gateway.bodies import json_body
from services.gateway.deps import Context, Ctx, Submitter
from services.gateway.mathopt.answer import answer_json
from services.gateway.mathopt.request import SolveRequest, draft_of
from services.gateway.problems import documented, from_validation
from services.gateway.views import FastJson
from services.store.types import JobRecord
from trimtab.adapters import mps
from trimtab.adapters.draft import Draft, NotCarriedOver
from trimtab.adapters.start import write_start
from trimtab.doors.answer import Answer, PoolSolution
from trimtab.doors.drafts import without_search
from trimtab.results import (
    DUALS_FILE,
    POOL_FILE,
    SOLUTION_FILE,
    EventType,
    Limit,
    Reason,
    RunResult,
    Termination,
)
from trimtab.specs.common import MAX_SECONDS

router = APIRouter(prefix="/v1", tags=["jobs"])

_DEFAULT_S = 10.0  # the client's own default deadline
_ENDING_S = 3.0  # of the deadline, for stopping the job and writing the answer
_LOOK_S = 1.0  # between two looks at whether the client is still there
_MOST_LINES = 1000


@router.post(
    "/mathopt:solveMathOptModel",
    responses={
        200: {"description": "A SolveMathOptModelResponse"},
        **documented(400, 413, 415, 422, 503, 504, 507),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
    summary="Solve a model of OR-Tools MathOpt",
)
async def solve_mathopt_model(
    request: Request,
    ctx: Ctx,
    principal: Submitter,
    server_timeout_s: Annotated[
        float | None,
        Header(alias="X-Server-Timeout", description="seconds that the client waits"),
    ] = None,
) -> Response:
    """Body and answer as OR-Tools' `remote_http_solve` has them; `X-Goog-Api-Key` is the key."""
    began = time.monotonic()
    wait_s = _DEFAULT_S if server_timeout_s is None else server_timeout_s
    if not (math.isfinite(wait_s) and wait_s > 0):
        raise BadRequest(f"X-Server-Timeout: expected seconds > 0, got {wait_s!r}")
    body = await json_body(request)
    try:
        parsed, draft = await asyncio.to_thread(_parse, body)
        spec = parsed.spec_fields()
    except ValidationError as error:
        raise from_validation(error) from error
    except NotCarriedOver as error:
        raise BadRequest(str(error)) from error
    notes = [f"trimtab: {name} has no effect" for name in parsed.without_effect()]
    known, nodes = without_search(draft), 0
    if known is not None:
        answer = known
    else:
        budget = _budget(parsed, min(wait_s, MAX_SECONDS))
        job = {
            "kind": "ilp",
            "spec": {**spec, **await _upload(ctx, principal, draft), "format": "mps"},
            "budget": budget,
            "seed": parsed.parameters.random_seed or 0,
            "labels": {"door": "mathopt"},
        }
        started = await _submit(ctx, principal, job)
        ended = await _ended(request, ctx, principal, started.id, began + wait_s)
        answer, nodes = await asyncio.to_thread(_answer, ctx, ended, draft)
        if parsed.parameters.enable_output:
            notes += await _log(ctx, ended)
        notes.append(f"trimtab: job {ended.id}, check: {answer.checked}")
    return FastJson(answer_json(parsed, answer, node_count=nodes, messages=notes))


def _budget(request: SolveRequest, wait_s: float) -> dict[str, float]:
    """Return the budget of the job, which ends before the client's deadline."""
    seconds = max(min(1.0, wait_s), wait_s - _ENDING_S)
    limit_s, gap = (
        request.parameters.time_limit,
        request.parameters.relative_gap_tolerance,
    )
    if limit_s is not None:
        seconds = min(seconds, max(0.001, limit_s))
    budget = {"seconds": seconds}
    if gap is not None:
        budget["target_gap"] = min(1.0, gap)
    return budget


async def _submit(ctx: Context, principal: Any, job: Mapping[str, Any]) -> JobRecord:
    try:
        validated = ctx.request_adapter.validate_json(orjson.dumps(job))
    except ValidationError as error:
        raise from_validation(error, kinds=ctx.kinds) from error
    (submitted,) = await operations.submit(
        ctx, principal, [validated], idempotency_key=None
    )
    return submitted.job


def _parse(body: bytes) -> tuple[SolveRequest, Draft]:
    parsed = SolveRequest.model_validate_json(body)
    return parsed, draft_of(parsed)


async def _upload(ctx: Context, principal: Any, draft: Draft) -> dict[str, Any]:
    """Store model and start; return their fields of the spec."""
    columns = [f"x{place}" for place in range(len(draft.columns))]
    rows = [f"r{place}" for place in range(len(draft.rows))]

    def write(folder: Path) -> dict[str, Path]:
        files = {"model": folder / "model.mps"}
        mps.write(draft, files["model"], columns=columns, rows=rows)
        pairs = ((columns[place], x) for place, x in sorted(draft.start.items()))
        if write_start(folder / "start.sol", pairs) is not None:
            files["warm_start"] = folder / "start.sol"
        return files

    with tempfile.TemporaryDirectory(prefix="trimtab-mathopt-") as name:
        try:
            files = await asyncio.to_thread(write, Path(name))
        except NotCarriedOver as error:
            raise BadRequest(str(error)) from error
        stored = {}
        for field, path in files.items():
            record = await operations.upload(
                ctx, principal, _chunks(path), name=path.name
            )
            stored[field] = operations.reference(record)
    return stored


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, 1 << 20):
            yield chunk


async def _ended(
    request: Request, ctx: Context, principal: Any, job_id: str, deadline: float
) -> JobRecord:
    """Wait for the end of a job; stop it before the deadline and when the client is gone.

    Raises DeadlineExceeded when the job does not end in time, and Unauthorized when the key ends.
    """
    stopped = False
    with ctx.bus.listen(job_id) as changed, ctx.lifetime.waiting(changed):
        while True:
            changed.clear()
            if why := await ctx.keyring.why_ended(principal):
                raise Unauthorized(
                    f"{why}; job {job_id} goes on", fix="use a key that works"
                )
            job = await ctx.store.get(job_id, tenant=principal.tenant)
            if job.state.is_terminal:
                return job
            left_s = deadline - time.monotonic()
            gone = await request.is_disconnected()
            if not stopped and (gone or left_s <= _ENDING_S or ctx.lifetime.closing):
                stopped = True
                with contextlib.suppress(ServiceError):
                    await operations.act(ctx, principal, job_id, "stop")
            if left_s <= 0 or gone or ctx.lifetime.closing:
                raise DeadlineExceeded(
                    f"job {job_id}: expected its end within the client's deadline, got state "
                    f"{job.state.value}",
                    fix=f"pass a larger deadline_sec, or read it: GET /v1/jobs/{job_id}",
                )
            pause_s = min(_LOOK_S, left_s, event_stream.poll_s(ctx))
            await wait_for(changed, max(0.01, pause_s))


class DeadlineExceeded(ServiceError):
    """The job goes on, but the client's deadline is over."""

    status = 504
    slug = "deadline-exceeded"
    title = "Deadline exceeded"


def _answer(ctx: Context, job: JobRecord, draft: Draft) -> tuple[Answer, int]:
    """Return the answer of an ended job, and the nodes. Raises BadRequest for a refused input."""
    sense = "maximize" if draft.maximize else "minimize"
    if job.result is None:
        ended = Termination.model_validate(dict(job.termination or {}), strict=False)
        if ended.reason in (Reason.INVALID_INPUT, Reason.INPUT_CRASHED_PARSER):
            raise BadRequest(f"job {job.id}: {ended.detail}")
        reason = Reason(ended.reason)
        limit = Limit.STOPPED if reason is Reason.CANCELLED else ended.limit
        return Answer(reason=reason, limit=limit, detail=ended.detail, sense=sense), 0
    result = RunResult.model_validate(dict(job.result), strict=False)
    files = {
        name: ctx.blobs.path(result.artifacts[name].digest)
        for name in (SOLUTION_FILE, DUALS_FILE, POOL_FILE)
        if name in result.artifacts
    }
    ended, check = result.termination, result.verification
    duals = _read(files.get(DUALS_FILE))
    solution = _read(files.get(SOLUTION_FILE))
    pool = _read(files.get(POOL_FILE)).get("solutions", ())
    objective = check.objective if check.objective is not None else result.objective
    answer = Answer(
        reason=ended.reason,
        limit=ended.limit,
        detail=ended.detail,
        sense=sense,
        objective=objective if solution else None,
        bound=result.bound,
        gap=result.gap,
        nonzeros=solution.get("nonzeros"),
        duals=duals.get("duals"),
        reduced_costs=duals.get("reduced_costs"),
        pool=tuple(
            PoolSolution(objective=one["objective"], nonzeros=one["nonzeros"])
            for one in pool
        ),
        checked=check.status.value,
        seconds=sum(result.timings_s.values()),
        job=job.id,
    )
    nodes = result.summary.get("engine_nodes")
    return answer, nodes if isinstance(nodes, int) else 0


def _read(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    read: Mapping[str, Any] = json.loads(path.read_bytes())
    return read


async def _log(ctx: Context, job: JobRecord) -> list[str]:
    """Return a line for each stored incumbent."""
    from trimtab.doors.log import SolveLog

    log = SolveLog()
    for event in await ctx.store.events(job.id, after_seq=0, limit=_MOST_LINES):
        if event.type is EventType.INCUMBENT:
            log.event("incumbent", event.data)
    return log.text.splitlines()

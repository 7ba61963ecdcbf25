"""/healthz, /readyz, /metrics and /v1/workers."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from services.errors import ServiceError
from services.gateway import operations
from services.gateway.deps import Context, Principal, context, require
from services.gateway.problems import documented
from services.gateway.views import FastJson

PROBED = frozenset(
    {"/healthz", "/readyz", "/metrics"}
)  # asked every few seconds: neither logged nor traced
router = APIRouter(tags=["health"])
workers_router = APIRouter(tags=["health"])
Ctx = Annotated[Context, Depends(context)]


@router.get("/healthz", summary="The process answers")
async def healthz() -> Response:
    """Liveness."""
    return FastJson({"status": "ok"})


@router.get(
    "/readyz",
    responses={503: {"description": "Not ready; the body says what is missing"}},
    summary="Jobs can be taken and, in this role, run",
)
async def readyz(ctx: Ctx) -> Response:
    """Readiness: database and data folder take a write and the dispatcher, if this role has one, is alive."""
    checks: dict[str, Any] = {"role": ctx.settings.role, "store": ctx.store.dialect}
    ready = True
    try:
        await ctx.store.probe_write()
        await asyncio.to_thread(ctx.blobs.probe_write)
    except ServiceError as error:
        ready, checks["store_error"] = False, error.detail
    except OSError as error:
        ready, checks["disk_error"] = (
            False,
            f"the data folder takes no writes: {error.strerror}",
        )
    if ctx.settings.role != "gateway":
        dispatcher = ctx.pool.dispatcher
        alive = dispatcher is not None and dispatcher.alive
        ready, checks["dispatcher_alive"] = ready and alive, alive
        if operations.describe_pool(ctx).get(
            "refusal"
        ):  # its text names tenants, and this page asks for no key
            ready, checks["refusal"] = (
                False,
                "several tenants, and a sandbox that does not protect files: see /v1/workers",
            )
        # Of the executor only its kind and size: this page asks for no key.
        executor = operations.describe_pool(ctx).get("executor", {})
        checks["executor"] = {
            name: executor[name] for name in ("executor", "capacity") if name in executor
        }
    return FastJson(
        {"status": "ready" if ready else "not ready", **checks},
        status_code=200 if ready else 503,
    )


@router.get(
    "/metrics",
    responses={
        200: {
            "description": "Prometheus text",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **documented(401, 403, 429, 503),
    },
    response_class=Response,
    summary="Prometheus metrics",
)
async def metrics(
    ctx: Ctx, principal: Annotated[Principal, Depends(require("viewer"))]
) -> Response:
    """Give Prometheus a viewer key as its bearer token."""
    for state, count in (await ctx.store.counts()).items():
        ctx.metrics.jobs.labels(state.value).set(count)
    oldest_us = await ctx.store.oldest_queued_us()
    age_s = (
        0.0 if oldest_us is None else max(0.0, (await ctx.store.now_us() - oldest_us) / 1e6)
    )
    ctx.metrics.queue_age.set(age_s)
    ctx.metrics.stale_writes.set(await ctx.store.stale_writes())
    pool = operations.describe_pool(ctx)
    ctx.metrics.running.set(pool.get("running", 0))
    ctx.metrics.capacity.set(pool.get("executor", {}).get("capacity", 0))
    return Response(generate_latest(ctx.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@workers_router.get(
    "/v1/workers",
    responses={
        200: {"description": "Dispatcher and executor of this process"},
        **documented(401, 403, 429),
    },
    tags=["workers"],
    summary="Who runs the jobs",
)
async def workers(
    ctx: Ctx, principal: Annotated[Principal, Depends(require("viewer"))]
) -> Response:
    """Capacity, what runs, and how tightly runs are held."""
    return FastJson(operations.describe_pool(ctx))

"""`/healthz`, `/readyz`, `/metrics` and `/v1/workers`."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from services.errors import ServiceError
from services.gateway import operations
from services.gateway.deps import Context, Ctx, Viewer, visible_tenant
from services.gateway.problems import documented
from services.gateway.views import FastJson

# Probes ask every few seconds: these routes are neither logged nor traced.
PROBED = frozenset({"/healthz", "/readyz", "/metrics"})
router = APIRouter(tags=["health"])
workers_router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Liveness")
async def healthz() -> Response:
    """Returns 200 while the process is alive."""
    return FastJson({"status": "ok"})


@router.get(
    "/readyz",
    responses={503: {"description": "Not ready; the body says what is missing"}},
    summary="Readiness",
)
async def readyz(ctx: Ctx) -> Response:
    """200 when this process can accept jobs and, if its role includes it, run them.

    The database and the data folder must accept a write, and the dispatcher must be alive.
    """
    checks: dict[str, Any] = {"role": ctx.settings.role, "store": ctx.store.dialect}
    ready = True
    try:
        await ctx.store.probe_write()
        await asyncio.to_thread(ctx.blobs.probe_write)
    except ServiceError as error:
        ready, checks["store_error"] = False, error.detail
    except OSError as error:
        ready = False
        checks["disk_error"] = f"the data folder is not writable: {error.strerror}"
    if ctx.settings.role != "gateway":
        dispatcher = ctx.pool.dispatcher
        alive = dispatcher is not None and dispatcher.alive
        ready, checks["dispatcher_alive"] = ready and alive, alive
        # This route needs no key: of the refusal it names no tenant, and of the executor it
        # shows kind and size only.
        pool = operations.describe_pool(ctx)
        if pool.get("refusal"):
            ready = False
            checks["refusal"] = (
                "several tenants, and a sandbox that does not protect files: see /v1/workers"
            )
        executor = pool.get("executor", {})
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
            "description": "Prometheus text format",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **documented(503),
    },
    response_class=Response,
    summary="Prometheus metrics",
)
async def metrics(ctx: Ctx, principal: Viewer) -> Response:
    """Counters and gauges of this process. Give Prometheus a viewer key as bearer token."""
    await _read_metrics(ctx)
    return Response(generate_latest(ctx.metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def _read_metrics(ctx: Context) -> None:
    """Set the metrics that are read from the store and the pool at each scrape."""
    for state, count in (await ctx.store.counts()).items():
        ctx.metrics.jobs.labels(state.value).set(count)
    oldest_us = await ctx.store.oldest_queued_us()
    age_us = 0 if oldest_us is None else await ctx.store.now_us() - oldest_us
    ctx.metrics.queue_age.set(max(0.0, age_us / 1e6))
    ctx.metrics.stale_writes.set(await ctx.store.stale_writes())
    pool = operations.describe_pool(ctx)
    ctx.metrics.running.set(pool.get("running", 0))
    ctx.metrics.capacity.set(pool.get("executor", {}).get("capacity", 0))
    text = {} if ctx.pool.text is None else ctx.pool.text.describe()
    ctx.metrics.text_active.set(text.get("active", 0))
    ctx.metrics.text_waiting.set(text.get("waiting", 0))
    ctx.metrics.text_starts.set(text.get("starts", 0))


@workers_router.get(
    "/v1/workers",
    responses={
        200: {"description": "Dispatcher and executor of this process"},
        **documented(),
    },
    tags=["workers"],
    summary="Describe the workers",
)
async def workers(ctx: Ctx, principal: Viewer) -> Response:
    """Capacity, running jobs, how runs are isolated, and `jobs`: the caller's jobs by state."""
    counts = await ctx.store.counts(visible_tenant(principal))
    jobs = {state.value: count for state, count in counts.items() if count}
    return FastJson({**operations.describe_pool(ctx), "jobs": jobs})

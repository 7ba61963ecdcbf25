"""Puts the service together. The one place where parts meet; nothing below reaches for a global."""

from __future__ import annotations

import asyncio
import functools
import operator
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import structlog
from fastapi import FastAPI
from pydantic import Field, TypeAdapter

from search.domains import KINDS, Kind
from services import telemetry
from services.bus import Bus
from services.gateway import auth, openapi, problems
from services.gateway.deps import Context
from services.gateway.limits import RateLimiter
from services.gateway.middleware import Outermost
from services.gateway.routes import artifacts, docs, health, jobs, keys
from services.gateway.routes import kinds as kinds_routes
from services.settings import LOOPBACK, Settings, check_settings
from services.store import open_store
from services.store.blobs import BlobStore
from services.store.types import JobStore
from services.web.pages import mount_web
from trimtab import __version__
from trimtab.specs.common import request_model
from workers.executor import open_executor
from workers.types import Executor

log = structlog.get_logger("trimtab")


def create_app(
    settings: Settings | None = None,
    *,
    store: JobStore | None = None,
    kinds: Mapping[str, Kind] = KINDS,
    executor: Executor | None = None,
) -> FastAPI:
    """The application. `store` and `executor` are chosen by the settings unless given (tests give them).

    Raises ValueError for settings that are not safe together.
    """
    settings = settings or Settings()
    check_settings(settings)
    offered = {
        name: kind
        for name, kind in kinds.items()
        if settings.diagnostic_kinds or not kind.diagnostic
    }
    tracer_provider = telemetry.configure_tracing(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = store or open_store(settings)
    context = Context(
        settings=settings,
        store=store,
        blobs=BlobStore(settings.data_dir / "blobs"),
        kinds=offered,
        bus=Bus(),
        keyring=auth.Keyring(store, session_secret=auth.session_secret(settings.data_dir)),
        limiter=RateLimiter(),
        metrics=telemetry.Metrics(),
        request_adapter=_requests(offered),
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await context.store.open()
        try:
            if settings.auth == "keys" and await auth.ensure_admin_key(
                context.store, settings.admin_key_file
            ):
                log.info("admin key written", file=str(settings.admin_key_file))
            if settings.role == "gateway":
                yield
                return
            async with _dispatching(context, executor):
                yield
        finally:
            await context.store.close()
            if tracer_provider is not None:
                await asyncio.to_thread(tracer_provider.shutdown)  # sends what is left

    app = FastAPI(
        title="trimtab",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None if settings.role == "dispatcher" else "/openapi.json",
        docs_url=None,
        redirect_slashes=False,  # a path is right or it is 404: a redirect of a POST would surprise both ends
        generate_unique_id_function=lambda route: (
            route.name
        ),  # `submit_job`: what generated clients call their methods
        redoc_url=None,
        **_tracing(tracer_provider),
    )
    app.state.context = context
    app.include_router(health.router)
    if settings.role != "dispatcher":
        app.include_router(health.workers_router)
        for router in (
            jobs.batch_router,
            jobs.router,
            artifacts.router,
            kinds_routes.router,
            keys.router,
            docs.router,
        ):
            app.include_router(router)
        mount_web(app)
    problems.install(app)
    openapi.install(app, offered, context.request_adapter)
    app.add_middleware(
        Outermost,
        metrics=context.metrics,
        max_body_bytes=settings.max_body_bytes,
        allowed_hosts=settings.allowed_hosts,
        # The Host check keeps a page of another site from reaching this machine under a name of its own (DNS rebinding).
        # On the network that page could reach us only without a key or a session, because those are tied to the name; so
        # a bind to other addresses takes any name unless the operator gives some. An address cannot be rebound, and a
        # probe of Kubernetes uses one.
        any_host=settings.host not in LOOPBACK and not settings.allowed_hosts,
        any_address=settings.host not in LOOPBACK,
    )
    return app


@asynccontextmanager
async def _dispatching(context: Context, executor: Executor | None) -> AsyncIterator[None]:
    from services.dispatcher.loop import Dispatcher

    settings = context.settings
    executor = executor or open_executor(
        settings.executor,
        workers=settings.workers,
        scratch_dir=settings.data_dir / "runs",
        sandbox=settings.sandbox,
        preload=tuple(
            sorted({module for kind in context.kinds.values() for module in kind.preload})
        ),
        ray_address=settings.ray_address,
    )
    await executor.open()
    dispatcher = Dispatcher(
        store=context.store,
        executor=executor,
        blobs=context.blobs,
        bus=context.bus,
        kinds=context.kinds,
        settings=settings,
    )
    await dispatcher.start()
    context.pool.dispatcher = dispatcher
    try:
        yield
    finally:
        context.pool.dispatcher = None
        await dispatcher.close()
        await executor.close()


def _requests(kinds: Mapping[str, Kind]) -> TypeAdapter[Any]:
    models = [request_model(kind.spec) for kind in kinds.values()]
    if not models:
        raise ValueError("no kind is offered; give create_app at least one")
    if len(models) == 1:
        return TypeAdapter(models[0])
    union: Any = functools.reduce(operator.or_, models)
    return TypeAdapter(Annotated[union, Field(discriminator="kind")])


def _tracing(provider: Any | None) -> dict[str, Any]:
    """FastAPI's own tracing. Not its logs, which hold the text of exceptions; not its metrics, /metrics has ours."""
    wanted: dict[str, Any] = {
        "metrics": False,
        "logs": False,
        "exclude": lambda scope: scope["path"] in health.PROBED,
    }
    if provider is not None:
        wanted["tracer_provider"] = provider
    return {"telemetry": wanted}

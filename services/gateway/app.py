"""Assemble the service from its parts."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import operator
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, FastAPI
from pydantic import Field, TypeAdapter

from search.kinds import KINDS, Kind
from services import telemetry
from services.bus import Bus
from services.dispatcher.retention import Retention
from services.errors import ServiceError
from services.gateway import auth, openapi, problems
from services.gateway.deps import Context
from services.gateway.express import Express
from services.gateway.filters import known_query
from services.gateway.limits import RateLimiter
from services.gateway.middleware import Outermost
from services.gateway.routes import (
    artifacts,
    completions,
    docs,
    fitted_models,
    health,
    job_outputs,
    jobs,
    keys,
    kinds,
    mathopt,
    outlines,
    upkeep,
    views,
)
from services.settings import LOOPBACK, Settings, check_settings
from services.store import open_store
from services.store.blobs import BlobStore
from services.store.upkeep import SERVER, Deed, ServiceStore
from services.web.pages import mount_web
from trimtab import __version__
from trimtab.specs.common import Spec, request_model
from workers.executor import open_executor, open_text
from workers.process.text_host import TextOptions
from workers.types import Executor, TextBackend

log = structlog.get_logger("trimtab")

# Routers of the API, in the order of its description. A dispatcher serves `health` alone.
ROUTERS = (
    health.workers_router,
    jobs.batch_router,
    jobs.router,
    job_outputs.router,
    outlines.router,
    artifacts.router,
    fitted_models.router,
    kinds.router,
    mathopt.router,
    completions.router,
    keys.router,
    upkeep.router,
    docs.router,
    views.router,
)


def create_app(
    settings: Settings | None = None,
    *,
    store: ServiceStore | None = None,
    kinds: Mapping[str, Kind] = KINDS,
    executor: Executor | None = None,
    text: TextBackend | None = None,
) -> FastAPI:
    """Build the application.

    store, executor, text: as configured by default; tests pass their own.
    Raises ValueError for settings that are not safe together.
    """
    settings = settings or Settings()
    check_settings(settings)
    tracer_provider = telemetry.configure_tracing(settings)
    context = _assemble(settings, store, kinds)
    app = FastAPI(
        title="trimtab",
        version=__version__,
        lifespan=_lifespan(context, executor, text, tracer_provider),
        openapi_url=None if settings.role == "dispatcher" else "/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a wrong path is 404: clients do not expect a redirected POST
        # `submit_job`: the method name in generated clients
        generate_unique_id_function=lambda route: route.name,
        **_tracing(tracer_provider),
    )
    app.state.context = context
    app.include_router(health.router)
    if settings.role != "dispatcher":
        for router in ROUTERS:
            app.include_router(router, dependencies=_checks(router))
        mount_web(app)
    problems.install(app)
    openapi.install(app, context.kinds, context.request_adapter)
    _protect(app, context)
    return app


def _checks(router: APIRouter) -> list[Any]:
    """Return what every request of a router must pass. OpenAI's clients may send more."""
    return [] if router is completions.router else [Depends(known_query)]


def _assemble(
    settings: Settings, store: ServiceStore | None, kinds: Mapping[str, Kind]
) -> Context:
    offered = {
        name: kind
        for name, kind in kinds.items()
        if settings.diagnostic_kinds or not kind.diagnostic
    }
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = store or open_store(settings)
    blobs = BlobStore(settings.data_dir / "blobs")
    metrics = telemetry.Metrics()
    return Context(
        settings=settings,
        store=store,
        blobs=blobs,
        retention=Retention(store, blobs, server=settings.retention, metrics=metrics),
        kinds=offered,
        bus=Bus(),
        keyring=auth.Keyring(
            store, session_secret=auth.session_secret(settings.data_dir)
        ),
        limiter=RateLimiter(),
        metrics=metrics,
        request_adapter=_request_adapter(tuple(kind.spec for kind in offered.values())),
    )


def _protect(app: FastAPI, context: Context) -> None:
    """Add the middleware, with the Host check that the bind address calls for.

    The check keeps a page of another site from reaching this machine under a name of its own
    (DNS rebinding). On loopback that would suffice for an attack. On a network address the page
    would still need a key or a session, and those are tied to the name; so any name is accepted
    unless the operator lists some. An address cannot be rebound, and Kubernetes probes use one.
    """
    settings = context.settings
    on_network = settings.host not in LOOPBACK
    if settings.role != "dispatcher":
        app.add_middleware(Express, context=context)
    app.add_middleware(
        Outermost,
        metrics=context.metrics,
        max_body_bytes=settings.max_body_bytes,
        allowed_hosts=settings.allowed_hosts,
        any_host=on_network and not settings.allowed_hosts,
        any_address=on_network,
    )


def _lifespan(
    context: Context,
    executor: Executor | None,
    text: TextBackend | None,
    tracer_provider: Any | None,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return the lifespan: open the store, ensure an admin key, run model and dispatcher."""
    settings = context.settings

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await context.store.open()
        try:
            if settings.auth == "keys" and await auth.ensure_admin_key(
                context.store, settings.admin_key_file
            ):
                log.info("admin key written", file=str(settings.admin_key_file))
            await _note_start(context)
            await context.retention.clocks.begin()
            async with (
                _hosting(context, text),
                _noting_use(context),
                _dispatching(context, executor),
            ):
                yield
        finally:
            await context.store.close()
            if tracer_provider is not None:
                await asyncio.to_thread(tracer_provider.shutdown)  # flushes pending spans

    return lifespan


KEY_USE_S = 30.0  # between writes of when keys were last used


@asynccontextmanager
async def _noting_use(context: Context) -> AsyncIterator[None]:
    """Write when keys were last used, once in a while for all of them."""

    async def write() -> None:
        used = context.keyring.used()
        if used:
            with contextlib.suppress(ServiceError):
                await context.store.touch_keys(used)

    async def forever() -> None:
        while True:
            await asyncio.sleep(KEY_USE_S)
            await write()

    task = asyncio.create_task(forever(), name="key use")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await write()


async def _note_start(context: Context) -> None:
    """Write an audit entry of the start, with the settings that differ from the defaults."""
    settings = context.settings
    changed = settings.model_dump(mode="json", exclude_defaults=True)
    secret = ("database_url", "text_api_key")
    shown = {
        name: "(not shown)" if name in secret else value
        for name, value in sorted(changed.items())
    }
    deed = Deed(action="server.start", detail={"version": __version__, "settings": shown})
    await context.store.audit(deed, actor=SERVER)


@asynccontextmanager
async def _hosting(context: Context, text: TextBackend | None) -> AsyncIterator[None]:
    """Host the language model of this process, when one is configured."""
    settings = context.settings
    on_ray = settings.executor == "ray" and settings.role != "gateway"
    # A dispatcher has no endpoint: it hosts the model for its jobs only.
    used = settings.role != "dispatcher" or any(
        "text_model" in kind.needs for kind in context.kinds.values()
    )
    if text is None and settings.text_model != "none" and used and not on_ray:
        text = open_text(text_options(settings), scratch_dir=settings.data_dir / "text")
    if text is None:
        yield
        return
    await text.open()
    context.pool.text = text
    try:
        yield
    finally:
        context.pool.text = None
        await text.close()


def text_options(settings: Settings) -> TextOptions:
    """Return how the configured model is hosted."""
    key = settings.text_api_key
    return TextOptions(
        model=settings.text_model,
        cache_dir=settings.data_dir.absolute() / "text-cache",
        sandbox=settings.sandbox,
        threads=settings.text_threads,
        memory_bytes=settings.text_memory_bytes,
        max_waiting=settings.text_max_waiting,
        api_key="" if key is None else key.get_secret_value(),
        allowed_hosts=settings.text_allowed_hosts,
    )


@asynccontextmanager
async def _dispatching(
    context: Context, executor: Executor | None
) -> AsyncIterator[None]:
    """Run a dispatcher with its executor, unless another process has that role."""
    from services.dispatcher.loop import Dispatcher

    settings = context.settings
    if settings.role == "gateway":
        yield
        return
    executor = executor or open_executor(
        settings.executor,
        workers=settings.workers,
        scratch_dir=settings.data_dir / "runs",
        sandbox=settings.sandbox,
        ray_address=settings.ray_address,
        text=context.pool.text,
        text_options=None if settings.text_model == "none" else text_options(settings),
    )
    await executor.open()
    if context.pool.text is None:
        # Executor `ray` hosts the model on the cluster.
        context.pool.text = getattr(executor, "text", None)
    dispatcher = Dispatcher(
        store=context.store,
        executor=executor,
        blobs=context.blobs,
        bus=context.bus,
        kinds=context.kinds,
        settings=settings,
        metrics=context.metrics,
        retention=context.retention,
    )
    await dispatcher.start()
    context.pool.dispatcher = dispatcher
    try:
        yield
    finally:
        context.pool.dispatcher = None
        await dispatcher.close()
        await executor.close()


@functools.cache
def _request_adapter(specs: tuple[type[Spec], ...]) -> TypeAdapter[Any]:
    """Return the parser of a JobRequest of any of the kinds with these specs."""
    models = [request_model(spec) for spec in specs]
    if not models:
        raise ValueError("kinds: expected at least one that is offered, got none")
    if len(models) == 1:
        return TypeAdapter(models[0])
    union: Any = functools.reduce(operator.or_, models)
    return TypeAdapter(Annotated[union, Field(discriminator="kind")])


def _tracing(provider: Any | None) -> dict[str, Any]:
    """Return FastAPI's arguments for tracing.

    Its logs stay off, because they hold the text of exceptions, and its metrics, because
    /metrics has our own.
    """
    options: dict[str, Any] = {
        "metrics": False,
        "logs": False,
        "exclude": lambda scope: scope["path"] in health.PROBED,
    }
    if provider is not None:
        options["tracer_provider"] = provider
    return {"telemetry": options}

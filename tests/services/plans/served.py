"""A whole service in this process, with runs in real children, and a client of one tenant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from search.kinds import KINDS as ALL
from services.gateway.app import create_app
from services.settings import Settings
from services.store.types import JobStore
from tests.changing.test_kind import KIND as ROOT_KIND
from tests.doubles.memory_store import MemoryStore
from tests.doubles.resting_domain import KIND as ERRAND_KIND

KINDS = {"root": ROOT_KIND, "errand": ERRAND_KIND, "probe": ALL["probe"]}


class Api:
    """Requests of a client."""

    def __init__(self, http: httpx2.AsyncClient, store: JobStore) -> None:
        self.http, self.store = http, store

    async def submit(self, **spec: Any) -> str:
        body = {"kind": "errand", "spec": spec, "budget": {"seconds": 20.0}}
        answer = await self.http.post("/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    async def job(self, job_id: str) -> dict[str, Any]:
        view: dict[str, Any] = (await self.http.get(f"/v1/jobs/{job_id}")).json()
        return view

    async def until(self, job_id: str, *states: str) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while (view := await self.job(job_id))["state"] not in states:
                if view["finished_at"] is not None:
                    raise AssertionError(view)
                await asyncio.sleep(0.02)
        return view

    async def outline(self, job_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/v1/jobs/{job_id}/outline")
        assert answer.status_code == 200, answer.text
        view: dict[str, Any] = answer.json()
        return view

    async def approve(self, job_id: str) -> dict[str, Any]:
        seen = await self.outline(job_id)
        body = {"revision": seen["revision"], "digest": seen["digest"]}
        answer = await self.http.post(f"/v1/jobs/{job_id}/outline/approve", json=body)
        assert answer.status_code == 202, answer.text
        view: dict[str, Any] = answer.json()
        return view


@asynccontextmanager
async def served(
    folder: Path, store: JobStore | None = None, **settings: Any
) -> AsyncIterator[Api]:
    """Serve both kinds."""
    values: dict[str, Any] = {
        "workers": 2,
        "sandbox": "rlimit",
        "auth": "off",
        "log_level": "error",
        "diagnostic_kinds": True,
        "job_memory_bytes": 2**30,
    } | settings
    store = store or MemoryStore()
    app = create_app(Settings(data_dir=folder, **values), store=store, kinds=KINDS)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://127.0.0.1"
        ) as http:
            yield Api(http, store)


def run(
    folder: Path,
    body: Callable[[Api], Awaitable[None]],
    store: JobStore | None = None,
    **settings: Any,
) -> None:
    """Run a test against a service."""

    async def go() -> None:
        async with served(folder, store, **settings) as api:
            await body(api)

    asyncio.run(go())

"""The registry from end to end: fit, adopt, use, refuse, retire; two tenants, real children."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2

from services.gateway import operations
from services.gateway.app import create_app
from services.settings import Settings
from tests.doubles.memory_store import MemoryStore
from tests.search.domains.sharding.conftest import job as sharding_spec
from workers.bench.learn.simulated_file import write_measured


class Server:
    """A service in this process, and its requests by tenant."""

    def __init__(self, http: httpx2.AsyncClient, app: Any) -> None:
        self.http, self.context = http, app.state.context
        self._keys: dict[str, str] = {}

    async def ask(self, method: str, path: str, tenant: str = "a", **more: Any) -> Any:
        if tenant not in self._keys:
            _, self._keys[tenant] = await operations.make_key(
                self.context, tenant=tenant, name="test", scopes=["submitter"]
            )
        headers = {"Authorization": f"Bearer {self._keys[tenant]}"}
        return await self.http.request(method, path, headers=headers, **more)

    async def submit(self, body: dict[str, Any], tenant: str = "a") -> str:
        answer = await self.ask(
            "POST", "/v1/jobs", tenant, json={"budget": {"seconds": 60.0}, **body}
        )
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    async def end(self, job_id: str, tenant: str = "a") -> dict[str, Any]:
        async with asyncio.timeout(240):
            while True:
                view = (await self.ask("GET", f"/v1/jobs/{job_id}", tenant)).json()
                if view["finished_at"] is not None:
                    return dict(view)
                await asyncio.sleep(0.2)

    async def result(self, job_id: str, tenant: str = "a") -> dict[str, Any]:
        view = await self.end(job_id, tenant)
        assert view["state"] == "SUCCEEDED", view["termination"]
        answer = await self.ask("GET", f"/v1/jobs/{job_id}/result", tenant)
        return dict(answer.json())

    async def learn(self, file: Path, *, steps: int = 50, seconds: float = 60.0) -> str:
        content = file.read_bytes()
        sent = await self.ask("POST", f"/v1/artifacts?name={file.name}", content=content)
        spec = {
            "target": "sharding",
            "instances": [{"digest": sent.json()["digest"], "name": file.name}],
            "sharding": {"steps": steps},
        }
        body = {"kind": "learn", "spec": spec, "budget": {"seconds": seconds}}
        return await self.submit(body)

    async def shard(self, tenant: str = "a", **more: Any) -> dict[str, Any]:
        spec = sharding_spec(6, 2).model_dump(mode="json")
        job_id = await self.submit({"kind": "sharding", "spec": spec, **more}, tenant)
        return dict((await self.result(job_id, tenant))["summary"]["model_used"])


def serve(folder: Path, body: Callable[[Server], Awaitable[None]]) -> None:
    async def go() -> None:
        settings = Settings(
            data_dir=folder, workers=2, sandbox="rlimit", log_level="error"
        )
        app = create_app(settings, store=MemoryStore())
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as http:
                await body(Server(http, app))

    asyncio.run(go())


def test_a_model_from_fit_to_use_and_retirement(tmp_path: Path) -> None:
    file = write_measured(tmp_path / "slow.jsonl", sets=60)

    async def body(server: Server) -> None:
        assert (await server.shard())["reason"] == (
            "no fitted model is adopted for this kind"
        )
        result = await server.result(await server.learn(file))
        made = result["summary"]["model"]
        assert made["state"] == "adopted"
        name = made["id"]

        # The owner sees it; nobody else does.
        listed = (await server.ask("GET", "/v1/fitted-models")).json()["items"]
        assert [model["id"] for model in listed] == [name]
        card = (await server.ask("GET", f"/v1/fitted-models/{name}/card")).json()
        assert card["decision"] == "adopted"
        picture = await server.ask("GET", f"/v1/fitted-models/{name}/picture")
        assert picture.text.startswith("<svg")
        for method, path in (
            ("GET", ""),
            ("GET", "/card"),
            ("GET", "/picture"),
            ("POST", "/retire"),
        ):
            path = f"/v1/fitted-models/{name}{path}"
            assert (await server.ask(method, path, "b")).status_code == 404
        assert (await server.ask("GET", "/v1/fitted-models", "b")).json()["items"] == []

        # Jobs of its owner use it, others do not.
        used = await server.shard()
        assert (used["id"], used["sha256"]) == (name, card["model_sha256"])
        assert (await server.shard(model=name))["reason"].startswith("named by the job")
        assert (await server.shard(model="shipped"))["id"] == "shipped"
        assert (await server.shard("b"))["id"] == "shipped"
        spec = sharding_spec(6, 2).model_dump(mode="json")
        request = {"kind": "sharding", "spec": spec, "model": name}
        refused = await server.ask("POST", "/v1/jobs", "b", json=request)
        assert refused.status_code == 422
        assert "expected an adopted model for kind sharding" in refused.text

        # A file that was changed on disk is not loaded.
        path = server.context.blobs.path(f"sha256:{card['model_sha256']}")
        whole = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        auto = await server.shard()
        assert auto["id"] == "shipped"
        assert "the file was changed" in auto["reason"]
        view = await server.end(await server.submit(request))
        assert view["state"] == "FAILED"
        assert "the file was changed" in view["termination"]["detail"]
        path.write_bytes(whole)

        retired = await server.ask("POST", f"/v1/fitted-models/{name}/retire")
        assert retired.json()["state"] == "retired"
        assert (await server.shard())["id"] == "shipped"
        again = await server.ask("POST", "/v1/jobs", json=request)
        assert again.status_code == 422
        assert "which is retired" in again.text

    serve(tmp_path / "data", body)


def test_a_model_that_is_no_better_is_rejected_and_unused(tmp_path: Path) -> None:
    file = write_measured(tmp_path / "noise.jsonl", sets=60, scramble=True)

    async def body(server: Server) -> None:
        result = await server.result(await server.learn(file))
        assert result["summary"]["decision"] == "rejected"
        assert result["summary"]["model"]["state"] == "rejected"
        assert (await server.shard())["id"] == "shipped"
        name = result["summary"]["model"]["id"]
        retire = await server.ask("POST", f"/v1/fitted-models/{name}/retire")
        assert retire.status_code == 409

    serve(tmp_path / "data", body)


def test_a_killed_fit_is_continued_and_a_cancelled_one_leaves_nothing(
    tmp_path: Path,
) -> None:
    file = write_measured(tmp_path / "slow.jsonl", sets=60)

    async def body(server: Server) -> None:
        executor = server.context.pool.dispatcher._context.executor
        job_id = await server.learn(file, steps=4_000, seconds=200.0)
        async with asyncio.timeout(120):
            while not (await server.context.store.get(job_id)).has_checkpoint:
                await asyncio.sleep(0.02)
        (run,) = executor._running
        os.killpg(run.current._child.process.pid, signal.SIGKILL)
        result = await server.result(job_id)
        assert result["summary"]["model"]["state"] == "adopted"
        assert "earlier attempt" in result["summary"]["started_from"]
        attempts = (await server.ask("GET", f"/v1/jobs/{job_id}/attempts")).json()
        assert [one["outcome"] for one in attempts] == ["lost", "result"]

        other = await server.learn(file, steps=20_000, seconds=200.0)
        while (await server.context.store.get(other)).phase != "search":
            await asyncio.sleep(0.02)
        await server.ask("POST", f"/v1/jobs/{other}/cancel")
        assert (await server.end(other))["state"] == "CANCELLED"
        listed = (await server.ask("GET", "/v1/fitted-models")).json()["items"]
        assert len(listed) == 1

    serve(tmp_path / "data", body)
